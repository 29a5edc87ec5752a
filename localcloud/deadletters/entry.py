"""A dead letter as people see it, the same for every kind, and the filters that choose among them."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, get_args

import msgspec

from core.log_ingest.dead_letters import EXCERPT_BYTES

Kind = Literal["sqs", "storage", "bus", "line", "file", "message"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
BODY_BYTES: Final = 2_000
"""Of a message's body, `show` gives this much."""
_SPAN: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SECRETS: Final = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"  # a token
    r"|(?i:(?<=sig=)|(?<=signature=)|(?<=password=)|(?<=accountkey=)|(?<=token=)|(?<=bearer ))[^&\s\"';,]+"
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter."""

    id: str
    kind: Kind
    """sqs: a message in a dead-letter queue; storage: one in a `-poison` queue; bus: one of Service Bus, in a
    dead-letter queue or in a `-dead` queue; line, file (from some point to its end) and message: what log_ingest put
    into its failed-file place.
    """
    system: str
    """Which system it belongs to; empty for none."""
    app: str = ""
    """Whose step could not handle it; empty where that is not known."""
    origin: str
    """The queue that it came from, or the file (bucket/key)."""
    reason: str
    time: str
    """When it was found dead (RFC 3339); for queues, which do not say, when it was sent."""
    attempts: int
    size: int
    """Bytes: of the message, or of the excerpt where the whole is not kept."""
    excerpt: str
    """At most 200 printable characters."""
    details: dict[str, Any] = {}
    """What else is known; `show` gives it."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; nothing said: all of them."""

    ids: list[str] = []
    """Ids or their beginnings."""
    kinds: list[str] = []
    system: str = ""
    app: str = ""
    """A part of its name."""
    origin: str = ""
    """A part of it."""
    reason: str = ""
    """A part of it, in any case."""
    since: datetime | None = None
    before: datetime | None = None
    limit: int | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Filter()

    def may_be(self, kinds: Iterable[Kind]) -> bool:
        """Whether an entry of one of these kinds can match."""
        return not self.kinds or not set(self.kinds).isdisjoint(kinds)

    def chosen(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Those that match, at most `limit`."""
        left = self.limit
        for entry in entries:
            if left is not None and left <= 0:
                return
            if self._matches(entry):
                left = None if left is None else left - 1
                yield entry

    def _matches(self, entry: Entry) -> bool:
        return (
            (not self.ids or any(entry.id.startswith(one) for one in self.ids))
            and (not self.kinds or entry.kind in self.kinds)
            and self.system in ("", entry.system)
            and self.app in entry.app
            and self.origin in entry.origin
            and self.reason.casefold() in entry.reason.casefold()
            and (self.since is None or datetime.fromisoformat(entry.time) >= self.since)
            and (self.before is None or datetime.fromisoformat(entry.time) < self.before)
        )


def moment(text: str, now: datetime) -> datetime:
    """`2h`, `30m`, `3d`, `90s` before now, or a time (ISO 8601; without a zone: UTC). ValueError for anything else."""
    match = _SPAN.fullmatch(text)
    if match:
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"must be like 2h, 30m, 3d or 2026-11-26T10:00, got {text!r}") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def shown(text: str | bytes, limit: int = EXCERPT_BYTES) -> str:
    """Text of others for a person's screen: printable, bounded, without anything that looks like a secret."""
    whole = text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
    # Masked before it is cut, so that no half of a secret is left over; what is far behind the cut does not matter.
    return _SECRETS.sub("…", "".join(map(_printable, whole[: 2 * limit])))[:limit]


def _printable(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")


def rfc3339(milliseconds: int) -> str:
    """A time in milliseconds since the epoch."""
    found = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")
