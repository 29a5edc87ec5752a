"""ISO 8601 durations as Service Bus writes them. Its greatest one stands for never, here None."""

import re
from typing import Final

NEVER: Final = "P10675199DT2H48M5.4775807S"
_NEVER_S: Final = 10675199 * 86400.0
_FORM: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def parse(text: str) -> float | None:
    """Seconds, or None for never; ValueError says what a duration looks like."""
    found = _FORM.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise ValueError(f"must be an ISO 8601 duration as in PT1H30M or P14D, got {text!r}")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    return None if total >= _NEVER_S else total


def text(seconds: float | None) -> str:
    """As the service answers it."""
    if seconds is None:
        return NEVER
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    date = f"{days:.0f}D" if days else ""
    time = "".join(f"{value:g}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (round(rest, 7), "S")) if value)
    return f"P{date}T{time}" if time else f"P{date or 'T0S'}"
