"""What can go wrong, declared as data: which calls, how often, and how. Off unless somebody declares it.

Whether the n-th call of an operation is hit depends on nothing but (seed, the fault's place in its schedule, service,
operation, n): the same calls in the same order fail the same way. Which caller's call is the n-th is up to the callers.
"""

from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any, Literal

import msgspec

Kind = Literal["refuse", "throttle", "delay", "cut", "duplicate", "reorder", "corrupt", "expire", "kill"]
_DONE_FIRST = frozenset({"refuse", "throttle", "delay", "cut", "kill"})
_TIMED = frozenset({"throttle", "delay", "reorder", "kill"})


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that goes wrong. ValueError (msgspec's own while decoding) for one that makes no sense."""

    kind: Kind
    """refuse: a fault of the service's own · throttle: come back later · delay: slow · cut: the connection ends ·
    duplicate: carried out twice, a message is delivered twice · reorder: held back behind the next one, the newest
    message first · corrupt: the answer is not what the service said · expire: the caller's token is refused from now
    on · kill: SIGKILL."""
    service: str
    """As `status` lists endpoints: s3, sqs, sts, identity, blob, queue, logs, collector, vault, postgres, alma, mail;
    servicebus in the emulator's own campaign."""
    operation: str = "*"
    """The service's own name for it; `*` and `?` as in file names."""
    rate: float = 0.0
    """Share of the calls, 0 to 1 …"""
    every: int = 0
    """… or each call whose number this divides."""
    skip: int = 0
    """The first so many calls of an operation are left alone."""
    most: int = 0
    """Fires at most this often; 0: no limit."""
    when: Literal["before", "middle", "after"] = "before"
    """before the service does its work, or after: the work is done, its answer is not given. cut alone knows middle:
    half of the answer leaves."""
    seconds: float = 0.0
    """delay, reorder: at most so long · throttle: Retry-After · kill: at a random moment within."""
    status: int = 0
    """refuse, throttle: another HTTP status than the service's usual one …"""
    code: str = ""
    """… and another error code."""
    how: Literal["truncated", "flipped"] = "truncated"
    """corrupt: whole in length but short of its end; or one byte wrong."""
    process: str = "handlers"
    """kill: `handlers`, every instance of every app; `supervisor`, the local cloud itself; else the apps that have
    this in their names. In the emulator's own campaign: `broker` or `client`."""

    def __post_init__(self) -> None:
        """The checks."""
        self._must(bool(self.rate) != bool(self.every), "rate or every must be set, one of them", self.rate, self.every)
        self._must(0 <= self.rate <= 1, "rate must be 0 to 1", self.rate)
        self._must(min(self.every, self.skip, self.most) >= 0, "every, skip and most must not be negative",
                   self.every, self.skip, self.most)  # fmt: skip
        self._must(0 <= self.seconds <= 120, "seconds must be 0 to 120", self.seconds)
        self._must(self.seconds == 0 or self.kind in _TIMED, f"seconds is for {_words(_TIMED)}", self.seconds)
        self._must(self.seconds > 0 or self.kind != "delay", "seconds must say how long", self.seconds)
        self._must(self.when != "middle" or self.kind == "cut", "when: middle is for cut", self.when)
        self._must(self.when == "before" or self.kind in _DONE_FIRST, f"when is for {_words(_DONE_FIRST)}", self.when)
        self._must(self.process == "handlers" or self.kind == "kill", "process is for kill", self.process)
        answered = self.kind in ("refuse", "throttle")
        self._must(answered or not (self.status or self.code), "status and code are for refuse and throttle",
                   self.status, self.code)  # fmt: skip
        self._must(self.status == 0 or 400 <= self.status <= 599, "status must be 400 to 599", self.status)
        self._must(self.kind != "expire" or self.service != "identity",
                   "expire must name a service that takes tokens (identity gives them)", self.service)  # fmt: skip

    def _must(self, holds: bool, must: str, *got: object) -> None:
        if not holds:
            what = f"fault {self.kind} of {self.service}/{self.operation}"
            raise ValueError(f"{what}: {must}, got {', '.join(map(repr, got))}; correct the schedule")

    def words(self) -> str:
        """In a line: what, where, how often."""
        often = f"every {self.every}" if self.every else f"{self.rate:.0%}"
        return f"{self.kind} {self.service}/{self.operation} {often}{'' if self.when == 'before' else ' ' + self.when}"

    def hits(self, service: str, operation: str, number: int, luck: float) -> bool:
        """Whether the call with this number (from 1) is hit; `luck` is 0 to 1."""
        if service != self.service or not fnmatchcase(operation, self.operation) or number <= self.skip:
            return False
        return number % self.every == 0 if self.every else luck < self.rate


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Faults that are declared together; of those that hit a call the first acts."""

    name: str
    faults: list[Fault]
    may_die: bool = False
    """A campaign accepts that what is healthy ends as a dead letter: something is refused for good here."""
    may_fail: str = ""
    """A regular expression: a campaign accepts that the system gives its work up with such a reason."""
    given: dict[str, Any] = {}
    """What else a campaign gives the system, in the words of the system's own (docs/chaos.md)."""


def luck(*what: object) -> float:
    """0 to 1, the same for the same words."""
    return int.from_bytes(blake2b("/".join(map(str, what)).encode(), digest_size=7).digest(), "big") / 2**56


def _words(kinds: frozenset[str]) -> str:
    return ", ".join(sorted(kinds))
