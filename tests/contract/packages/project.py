"""A tiny user project on disk: one timer handler, one queue handler, a minimal run time, the real pins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from components.packaging.manifest import App, Function, QueueTrigger, TimerTrigger

REPOSITORY = Path(__file__).parents[3]

FUNCTIONS = """
import asyncio
import importlib
import json
import os
from pathlib import Path

import azure.functions as func


def build(manifest: Path):
    app = func.FunctionApp()
    for one in json.loads(manifest.read_text())["functions"]:
        trigger = one["trigger"]
        handle = importlib.import_module(one["run"]).handle
        if trigger["type"] == "timer":
            run = app.timer_trigger(arg_name="message", schedule=trigger["schedule"])(timer(handle))
        else:
            run = app.queue_trigger(
                arg_name="message", queue_name=trigger["queue"], connection=trigger["connection"]
            )(queue(handle))
        app.function_name(one["name"])(run)
    return app


def timer(handle):
    async def run(message: func.TimerRequest, context: func.Context) -> None:
        await asyncio.to_thread(handle, {"past_due": message.past_due}, context)

    return run


def queue(handle):
    def run(message: func.QueueMessage, context: func.Context) -> None:
        body = {"body": message.get_body().decode(), "tries": message.dequeue_count, "id": message.id}
        handle(body, context)

    return run
"""

TICK = """
import json
import os
import sys
import time

import msgspec

from core.clocks.words import WORD


class Settings(msgspec.Struct):
    greeting: str
    tone: str = "calm"


def handle(message, context):
    line = {"level": "info", "event": "invocation", "function": context.function_name}
    line |= {"invocation_id": context.invocation_id, "outcome": "done", "counts": {"in": 2, "out": 2}}
    line |= {"word": WORD, "environment": sorted(os.environ), "past_due": message["past_due"]}
    line |= {"path": sys.path, "trace_parent": context.trace_context.trace_parent}
    print(json.dumps(line))
    what = os.environ.get("DO", "")
    if what == "raise":
        raise ValueError("on purpose")
    if what == "die":
        os._exit(9)
    if what == "hang":
        time.sleep(60)
    if what == "slow":
        time.sleep(1.5)
"""

READ = """
import json
import time

from core.clocks.words import OTHER


def handle(message, context):
    print(json.dumps({"event": "message", "other": OTHER, **message}))
    if message["body"] == "slow":
        time.sleep(2)
    if message["body"] == "bad":
        raise ValueError("cannot read this")
    if message["body"] == "half a line":
        print("half", end="")
"""

FILES = {
    "handlers/__init__.py": "",
    "handlers/clock/__init__.py": "",
    "handlers/clock/tick.py": TICK,
    "handlers/clock/read.py": READ,
    "core/__init__.py": "",
    "core/runtime/__init__.py": "",
    "core/runtime/functions.py": FUNCTIONS,
    "core/clocks/__init__.py": "",
    "core/clocks/words.py": 'WORD = "tick"\nOTHER = "tock"\n',
    "core/clocks/schema.sql": "select 1;\n",
    "core/clocks/data/cities.json": "[]\n",
    "core/unused/__init__.py": "",
    "core/unused/heavy.py": "import boto3\n",
    "core/unused/notes.txt": "not wanted\n",
}

TICKER = App(
    name="ticker",
    system="clock",
    functions=(Function(name="tick", run="handlers.clock.tick", trigger=TimerTrigger(schedule="%TICK_SCHEDULE%")),),
    time_limit_s=300,
)
READER = App(
    name="reader",
    system="clock",
    functions=(
        Function(name="read", run="handlers.clock.read", trigger=QueueTrigger(queue="words", connection="WORDS")),
    ),
)


def write(root: Path, changes: Mapping[str, str] | None = None) -> Path:
    """The project under `root`, with `changes` (path → text) on top."""
    for name, text in (FILES | dict(changes or {})).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    pins = (REPOSITORY / "handlers" / "requirements.txt").read_text()
    (root / "handlers" / "requirements.txt").write_text(pins)
    return root
