"""What a host is given and what it tells: plain data."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec


class HostError(Exception):
    """An app that cannot be run as it is: who, what must hold, what was got, what to change."""


class AppSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One function app of the local cloud."""

    name: str
    system: str
    package: Path
    """The unpacked package."""
    settings: dict[str, str]
    """App settings with every reference resolved; with `platform` the whole environment of an instance."""
    platform: dict[str, str]
    """What Azure itself would add: identity endpoint, CA file, site name …"""
    python: str
    """The interpreter's path."""
    folder: Path
    """Where the host keeps its own notes: results of invocations, last runs of timers."""
    instances: int = 1
    """Instances at least; 0: the app sleeps until a message or a timer wakes it."""
    max_instances: int = 1
    """Instances at most; queue triggers with a backlog add one at a time."""
    idle_s: float = 20
    """After so long without work, instances above the least end."""
    grace_s: float = 10
    """Time that work in hand has when the app stops."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line an instance wrote. `fields` is its JSON object, if it was one."""

    time: str
    app: str
    pid: int
    text: str
    level: str = "info"
    event: str = ""
    function: str = ""
    invocation_id: str = ""
    fields: dict[str, Any] | None = None


class InvocationResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one function."""

    id: str
    app: str
    function: str
    cause: str
    """`timer`, `queue`, `bus` or `admin`."""
    ok: bool
    """The platform's view: the function returned."""
    outcome: str
    """The handler's own word (`done`, `retry`, `dead`), else `returned`, `failed`, `timeout` or `crashed`."""
    reason: str | None
    started: datetime
    seconds: float
    pid: int
    counts: dict[str, int] = {}
    summary: Any = None


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process. `state` is starting, ready, waiting (for its restart) or stopped."""

    pid: int | None
    state: str
    since: datetime
    restarts: int
    error: str | None = None


class FunctionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One function of an app; `next` is a timer's next moment."""

    name: str
    trigger: dict[str, Any]
    runs: int
    failures: int
    counts: dict[str, int]
    last: InvocationResult | None
    next: datetime | None


class AppStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An app as `./millrace status` shows it."""

    name: str
    system: str
    instances: list[InstanceStatus]
    functions: list[FunctionStatus]
    in_flight: int
    problem: str = ""
    """Why its last instance could not start; an app without instances and without this sleeps."""
