"""What an app consists of, as the component declares it, and the manifest.json that its package carries.

The manifest holds nothing that differs between environments: schedules and queue addresses come from app settings
(`%INGEST_SCHEDULE%`, `API_FETCH__queueServiceUri`), so one package serves them all. A new kind of trigger is one more
class here with its `manifest()`, its module of core.runtime, and what host.json must say about it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from components.packaging.target import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class TimerTrigger:
    """Runs on a schedule."""

    schedule: str
    """A six-field NCRONTAB expression, or `%NAME%` of the app setting that holds one."""

    def manifest(self) -> dict[str, str]:
        """The trigger's part of manifest.json."""
        return {"type": "timer", "schedule": self.schedule}


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueTrigger:
    """Runs for each message of a storage queue."""

    queue: str
    connection: str
    """Prefix of the app settings with the address and identity: `X` means `X__queueServiceUri`."""
    encoding: str = "none"
    """`none` (as the Python SDK sends) or `base64` (as older SDKs do)."""

    def manifest(self) -> dict[str, str]:
        """The trigger's part of manifest.json."""
        return {"type": "queue", "queue": self.queue, "connection": self.connection, "encoding": self.encoding}


@dataclass(frozen=True, kw_only=True, slots=True)
class _BusTrigger:
    """What triggers of Service Bus share."""

    modules: ClassVar[tuple[str, ...]] = ("core.runtime.bus_functions",)
    """What core.runtime.functions imports by name for it: the SDK is half a second of every cold start, so it is only
    in packages with such a trigger.
    """
    connection: str
    """Prefix of the app settings with the address and identity: `X` means `X__fullyQualifiedNamespace`."""
    sessions: bool = False
    batch: bool = False
    """One call for many messages: the handler takes a list."""

    def manifest(self) -> dict[str, Any]:
        """The trigger's part of manifest.json."""
        return {"type": BUS_TYPES[type(self)], **asdict(self)}


@dataclass(frozen=True, kw_only=True, slots=True)
class BusQueueTrigger(_BusTrigger):
    """Runs for each message of a Service Bus queue."""

    queue: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BusSubscriptionTrigger(_BusTrigger):
    """Runs for each message of a subscription of a Service Bus topic."""

    topic: str
    subscription: str


BUS_TYPES: dict[type, str] = {BusQueueTrigger: "bus_queue", BusSubscriptionTrigger: "bus_subscription"}
BusTrigger = BusQueueTrigger | BusSubscriptionTrigger
Trigger = TimerTrigger | QueueTrigger | BusQueueTrigger | BusSubscriptionTrigger


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """One step of an app."""

    name: str
    run: str
    """The handler's module: `handlers.log_ingest.ingest`."""
    trigger: Trigger

    def manifest(self) -> dict[str, Any]:
        """The function's part of manifest.json."""
        return {"name": self.name, "run": self.run, "trigger": self.trigger.manifest()}


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueOptions:
    """host.json's `extensions.queues`, with the platform's defaults."""

    batch_size: int = 16
    """Messages fetched at a time and worked on in parallel, 1–32."""
    new_batch_threshold: int | None = None
    """Fetch again when this many or fewer are in hand; None leaves the platform's batch_size ÷ 2 × cores."""
    max_dequeue_count: int = 5
    """Tries before a message goes to `<queue>-poison`."""
    visibility_timeout_s: int = 0
    """Wait between a failed try and the next."""
    max_polling_interval_s: float = 60
    """Longest wait between looks at an empty queue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BusOptions:
    """host.json's `extensions.serviceBus` (extension 5.x), with the platform's defaults; a container goes by them too.

    https://learn.microsoft.com/azure/azure-functions/functions-bindings-service-bus#hostjson-settings
    """

    max_concurrent_calls: int = 16
    """Messages worked on at once by an instance, of an entity without sessions."""
    max_concurrent_sessions: int = 8
    """Sessions worked on at once by an instance; within each, one message after another."""
    max_message_batch_size: int = 1000
    """Messages of one call at most, of a step with batch=True."""
    prefetch_count: int = 0
    """Messages fetched before there is room for them. Their locks run while they wait."""
    max_auto_lock_renewal_s: float = 300
    """For so long a message's lock is renewed while its step runs; after it, others may get the message. On Functions
    this holds for single messages: a batch has the lock's own time.
    """
    session_idle_timeout_s: float = 60
    """A session without a message for so long is left for another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """One function app: its functions and the limits that go into its package."""

    name: str
    system: str
    functions: tuple[Function, ...]
    time_limit_s: int = 300
    queues: QueueOptions = field(default_factory=QueueOptions)
    bus: BusOptions = field(default_factory=BusOptions)

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the run time that its triggers need, beside what every package has."""
        return tuple(sorted({module for one in self.functions for module in getattr(one.trigger, "modules", ())}))

    @property
    def on_bus(self) -> bool:
        """Whether Service Bus triggers one of its functions."""
        return any(isinstance(one.trigger, BusTrigger) for one in self.functions)


def manifest(app: App, target: Target) -> dict[str, Any]:
    """manifest.json of an app."""
    bus = {"bus": asdict(app.bus)} if app.on_bus else {}
    return {
        **bus,
        "app": app.name,
        "system": app.system,
        "python": target.python,
        "time_limit_s": app.time_limit_s,
        "functions": [function.manifest() for function in sorted(app.functions, key=lambda one: one.name)],
    }


def canonical(value: object) -> bytes:
    """JSON with sorted keys and a fixed layout: equal values give equal bytes."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()
