"""What a handler answers: done, try again, or never again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """The message's work is finished; the platform may forget it."""

    counts: Mapping[str, int] | None = None
    """The system's own units: `in`, `out`, `dead`, `skipped`."""
    summary: msgspec.Struct | Mapping[str, Any] | None = None
    """What happened, for the invocation's log line."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A passing fault: the same message is worth another try."""

    reason: str
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """A lasting fault: the message goes to the dead-letter place, with its reason."""

    reason: str


Outcome = Done | Retry | Dead
