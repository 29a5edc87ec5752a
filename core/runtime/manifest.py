"""The package's manifest.json: which functions it holds and what triggers each. Written when the package is built."""

from __future__ import annotations

import msgspec


class Timer(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="timer"):
    """Fires by a six-field NCRONTAB schedule, usually `%SETTING%`."""

    schedule: str


class Queue(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="queue"):
    """A Storage queue; `connection` is the prefix of the identity-based settings."""

    queue: str
    connection: str
    encoding: str = "none"


class BusQueue(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="bus_queue"):
    """A Service Bus queue."""

    queue: str
    connection: str
    sessions: bool = False
    batch: bool = False
    """Whether the handler is given a list."""


class BusSubscription(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="bus_subscription"):
    """A subscription of a Service Bus topic."""

    topic: str
    subscription: str
    connection: str
    sessions: bool = False
    batch: bool = False
    """Whether the handler is given a list."""


BusTrigger = BusQueue | BusSubscription
Trigger = Timer | Queue | BusQueue | BusSubscription


class BusOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a container receives from Service Bus: what host.json says to the Functions host, in seconds."""

    max_concurrent_calls: int = 16
    max_concurrent_sessions: int = 8
    max_message_batch_size: int = 1000
    prefetch_count: int = 0
    max_auto_lock_renewal_s: float = 300
    session_idle_timeout_s: float = 60


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One step: `run` names the handler module."""

    name: str
    run: str
    trigger: Trigger


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole package."""

    app: str
    system: str = ""
    python: str = ""
    time_limit_s: float = 300
    functions: list[Function]
    bus: BusOptions = BusOptions()
