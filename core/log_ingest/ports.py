"""What log_ingest needs from outside, as Protocols: real clients, or anything that keeps the same promises.

All methods may be called from several threads; they fail with the kinds of `core.clients.faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Message(Protocol):
    """A received message, in hand until its visibility ends."""

    @property
    def id(self) -> str:
        """Stays the same over all deliveries."""

    @property
    def receipt(self) -> str:
        """What settles this very delivery."""

    @property
    def body(self) -> str:
        """The text."""

    @property
    def receives(self) -> int:
        """How often it was received so far, this time included."""


class Queue(Protocol):
    """The queue of notifications."""

    def receive(self, count: int, *, wait_s: int, visibility_s: int) -> Sequence[Message]:
        """Up to `count` messages, waiting up to `wait_s` for the first."""

    def delete(self, message: Message) -> None:
        """Settles it."""

    def hide(self, message: Message, seconds: int) -> None:
        """Invisible for `seconds` from now; 0: back at once."""


class Object(Protocol):
    """An object being read."""

    etag: str
    version: str
    """Empty in a bucket without versions."""
    modified: datetime

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end."""

    def close(self) -> None:
        """Ends reading."""


class Objects(Protocol):
    """The store of log files."""

    def open(self, bucket: str, key: str, version: str | None) -> Object:
        """The object; raises Gone, Denied, Refused, Transient."""


class Upload(Protocol):
    """Where rows go."""

    max_bytes: int
    """Of one call's body."""
    max_rows: int
    """Of one call; 0: no limit."""
    max_field_bytes: int
    """Longer values would be cut off there."""
    takes_time_generated: bool

    def send(self, body: bytes, *, until: float | None = None) -> tuple[int, int]:
        """Uploads a JSON array; (bytes sent, times sent again unanswered). Raises InDoubt, Transient, Refused."""


class Kept(Protocol):
    """A stored blob."""

    @property
    def body(self) -> bytes:
        """Content."""

    @property
    def etag(self) -> str:
        """Its version."""


class Container(Protocol):
    """A blob container."""

    def get(self, name: str) -> Kept | None:
        """None when there is no such blob."""

    def put(self, name: str, body: bytes, *, etag: str | None = None) -> str:
        """Writes; `etag` guards: a value: only over that version, "": only a new one. Raises Changed."""

    def delete(self, name: str) -> None:
        """Removes it when it is there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """How a run behaves."""

    lenient: bool = False
    lenient_tries: int = 5
    max_age_days: int | None = None
    """Objects last modified on an earlier day than today minus this are skipped (UTC days); None: never."""
    max_object_bytes: int = 2048 * 1024 * 1024
    """Unpacked."""
    stall_runs: int = 5
    safe_s: float = 270.0
    """No new work after this long."""
    finish_s: float = 285.0
    """Work in hand pauses at its next upload after this long."""
    files_at_once: int = 48
    uploads_at_once: int = 32
    receive_wait_s: int = 5
    visibility_s: int = 360
    retry_s: int = 10
    """A message whose file failed comes back after this long, doubled for each further try, at most `visibility_s`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clients:
    """Everything a run works with."""

    queue: Queue
    objects: Objects
    upload: Upload
    progress: Container
    failed: Container
    """The dead-letter place."""
    rules: Rules
    early: Sequence[Callable[[], object]] = ()
    """Calls worth beginning before their answers are needed: tokens. Whoever needs one that failed asks again."""
