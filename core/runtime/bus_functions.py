"""What `functions.py` binds for Service Bus triggers. It is imported by name, and packages hold it only when one of
their triggers is of Service Bus: the SDK that puts messages aside is half a second of a cold start.

The host hands a body over as bytes (`binary`), so what is put aside is what came, to the byte.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, List  # noqa: UP035 - the worker knows a batch by typing.List alone

import azure.functions as func

from core.messages.envelope import BusMessage
from core.runtime.aside import Aside
from core.runtime.bus_aside import DeadQueue
from core.runtime.manifest import BusQueue, BusTrigger
from core.runtime.step import Delivery, Step

Entry = Callable[..., Awaitable[None]]


def bind(app: func.FunctionApp, step: Step, trigger: BusTrigger) -> Any:
    """The function of a step, for `app.function_name(…)`."""
    common: dict[str, Any] = {
        "arg_name": "message",
        "connection": trigger.connection,
        "data_type": "binary",
        "is_sessions_enabled": trigger.sessions,
        "cardinality": "many" if trigger.batch else "one",
    }
    if isinstance(trigger, BusQueue):
        decorate = app.service_bus_queue_trigger(queue_name=trigger.queue, **common)
    else:
        decorate = app.service_bus_topic_trigger(
            topic_name=trigger.topic, subscription_name=trigger.subscription, **common
        )
    aside = DeadQueue(trigger)
    return decorate(_on_batch(step, aside) if trigger.batch else _on_message(step, aside))


def _on_message(step: Step, aside: Aside) -> Entry:
    async def run(message: func.ServiceBusMessage, context: func.Context) -> None:
        await step.serve(_bus_message(message), _delivery(context, aside))

    return run


def _on_batch(step: Step, aside: Aside) -> Entry:
    async def run(message: List[func.ServiceBusMessage], context: func.Context) -> None:  # noqa: UP006 - as above
        await step.serve_batch([_bus_message(one) for one in message], _delivery(context, aside))

    return run


def _bus_message(message: func.ServiceBusMessage) -> BusMessage:
    """Older hosts say `UserProperties` and `Label` where newer ones say `ApplicationProperties` and `Subject`."""
    return BusMessage(
        body=message.get_body(), id=message.message_id or "", subject=message.subject or message.label or "",
        content_type=message.content_type or "", correlation_id=message.correlation_id or "",
        session_id=message.session_id or "",
        properties=message.application_properties or message.user_properties or {},
        deliveries=message.delivery_count or 1,
    )  # fmt: skip


def _delivery(context: func.Context, aside: Aside) -> Delivery:
    trace: Any = context.trace_context  # absent where the host sends none
    parent = None if trace is None else trace.trace_parent
    return Delivery(invocation_id=context.invocation_id, traceparent=parent, aside=aside)
