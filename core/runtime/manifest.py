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


Trigger = Timer | Queue


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
