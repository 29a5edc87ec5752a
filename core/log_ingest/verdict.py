"""How the work on one file ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class End(Enum):
    """How the work on a file ended."""

    SETTLED = "settled"
    """Every row accepted, or recorded as dead."""
    DEAD = "dead"
    """The message is to be dead-lettered."""
    PAUSED = "paused"
    """Out of time; what was accepted is remembered."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of one file's work."""

    end: End
    reason: str = ""
    passing: bool = False
    """FAILED for a reason that is not the file's own: network, throttling, a server's fault."""
    moved: bool = False
    """Rows were accepted in this run."""
