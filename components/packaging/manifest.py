"""What an app consists of, as the component declares it, and the manifest.json that its package carries.

The manifest holds nothing that differs between environments: schedules and queue addresses come from app settings
(`%INGEST_SCHEDULE%`, `API_FETCH__queueServiceUri`), so one package serves them all. A new kind of trigger is one more
class here with its `manifest()`, one line in core.runtime.functions, and what host.json must say about it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

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


Trigger = TimerTrigger | QueueTrigger


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
class App:
    """One function app: its functions and the limits that go into its package."""

    name: str
    system: str
    functions: tuple[Function, ...]
    time_limit_s: int = 300
    queues: QueueOptions = field(default_factory=QueueOptions)


def manifest(app: App, target: Target) -> dict[str, Any]:
    """manifest.json of an app."""
    return {
        "app": app.name,
        "system": app.system,
        "python": target.python,
        "time_limit_s": app.time_limit_s,
        "functions": [function.manifest() for function in sorted(app.functions, key=lambda one: one.name)],
    }


def canonical(value: object) -> bytes:
    """JSON with sorted keys and a fixed layout: equal values give equal bytes."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()
