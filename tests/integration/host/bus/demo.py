"""The demo app: steps that do as their messages say, and the manifest of each of its variants."""

from __future__ import annotations

from typing import Any

from components.packaging.manifest import App, BusOptions, BusQueueTrigger, BusSubscriptionTrigger, Function

WORK = """
import os
import time

import msgspec

from core.runtime.context import Context
from core.runtime.outcome import Dead, Done, Outcome, Retry


class Job(msgspec.Struct):
    do: str
    n: float = 0


def handle(message: Job, context: Context[None]) -> Outcome:
    names = {"attempt": context.attempt, "session": context.session_id, "id": context.message_id}
    context.log.info("began", do=message.do, n=message.n, at=time.time(), pid=os.getpid(), **names)
    try:
        if message.do == "dead":
            return Dead("nobody can do this")
        if message.do == "again" and context.attempt < message.n:
            return Retry("not yet")
        if message.do == "raise":
            raise ValueError("a bug")
        if message.do == "kill" and context.attempt == 1:
            os.kill(os.getpid(), 9)
        if message.do == "slow" or (message.do == "stuck" and context.attempt == 1):
            time.sleep(message.n)
        return Done(counts={"in": 1})
    finally:
        context.log.info("ended", do=message.do, n=message.n, session=context.session_id)
"""


MANY = """
import msgspec

from core.runtime.context import Context
from core.runtime.outcome import Dead, Done, Outcome, Retry


class Job(msgspec.Struct):
    do: str
    n: float = 0


async def handle(messages: list[Job], context: Context[None]) -> Outcome:
    context.log.info("batch", does=[one.do for one in messages], attempt=context.attempt, session=context.session_id)
    if any(one.do == "dead" for one in messages):
        return Dead("not one of them")
    if any(one.do == "again" for one in messages) and context.attempt < 2:
        return Retry("not yet")
    return Done(counts={"in": len(messages)})
"""


HANDLERS = {f"handlers/{name}.py": text for name, text in {
    "__init__": "", "demo/__init__": "", "demo/work": WORK, "demo/many": MANY,
}.items()}  # fmt: skip


def app(*, sessions: bool = False, batch: bool = False, topic: bool = False, **options: Any) -> App:
    """One function, `work` or `many`, on the queue `jobs` or the subscription `events/work`."""
    common: dict[str, Any] = {"connection": "JOBS", "sessions": sessions, "batch": batch}
    trigger = (
        BusSubscriptionTrigger(topic="events", subscription="work", **common)
        if topic
        else BusQueueTrigger(queue="jobs", **common)
    )
    name = "many" if batch else "work"
    function = Function(name=name, run=f"handlers.demo.{name}", trigger=trigger)
    kind = f"{name}{'-sessions' if sessions else ''}{'-topic' if topic else ''}"
    return App(name=kind, system="demo", functions=(function,), bus=BusOptions(**options))
