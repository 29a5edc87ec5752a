"""The data-driven Functions app: binds what the package's manifest lists (azure-functions v2 model).

Every handler module is imported at once, so that an import error shows at start-up and when the package is tested.
A trigger shape is one factory here and one Struct in `manifest.py`. A shape that costs something stands in a module of
its own (`bus_functions.py`), which is imported by its name: a package is made of what imports say, and one without such
a trigger has neither the module nor what it imports (`modules` of the trigger in components/packaging/manifest.py).
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import azure.functions as func

from core.messages.ticks import TimerTick
from core.runtime import log
from core.runtime.aside import Aside
from core.runtime.manifest import Function, Queue, Timer, Trigger
from core.runtime.step import Delivery, Step, load

BUS = "core.runtime.bus_functions"
Entry = Callable[..., Awaitable[None]]


def build(manifest: Path) -> func.FunctionApp:
    """The app object that the worker indexes. Raises what a handler module's import raises, or msgspec's error."""
    log.start()
    app = func.FunctionApp()
    for function, step in load(manifest):
        app.function_name(function.name)(_bind(app, function, step))
    return app


def _bind(app: func.FunctionApp, function: Function, step: Step) -> Any:
    trigger: Trigger = function.trigger
    if isinstance(trigger, Timer):
        bind = app.timer_trigger(arg_name="message", schedule=trigger.schedule, run_on_startup=False, use_monitor=True)
        return bind(_on_timer(step))
    if isinstance(trigger, Queue):
        bind = app.queue_trigger(arg_name="message", queue_name=trigger.queue, connection=trigger.connection)
        return bind(_on_queue(step, trigger))
    return importlib.import_module(BUS).bind(app, step, trigger)


def _on_timer(step: Step) -> Entry:
    async def run(message: func.TimerRequest, context: func.Context) -> None:
        await step.serve(TimerTick(past_due=bool(message.past_due)), _delivery(context, attempt=1))

    return run


def _on_queue(step: Step, trigger: Queue) -> Entry:
    from core.runtime.poison import PoisonQueue  # its HTTP client is no timer's business

    poison = PoisonQueue(trigger)

    async def run(message: func.QueueMessage, context: func.Context) -> None:
        await step.serve(message.get_body(), _delivery(context, attempt=message.dequeue_count or 1, aside=poison))

    return run


def _delivery(context: func.Context, *, attempt: int, aside: Aside | None = None) -> Delivery:
    trace: Any = context.trace_context  # absent where the host sends none
    parent = None if trace is None else trace.trace_parent
    return Delivery(invocation_id=context.invocation_id, traceparent=parent, attempt=attempt, aside=aside)
