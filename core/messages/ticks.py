"""The message of a timer."""

from __future__ import annotations

import msgspec


class TimerTick(msgspec.Struct, frozen=True, kw_only=True):
    """A timer fired."""

    past_due: bool = False
    """The host was late, or fired at start-up for a missed moment."""
