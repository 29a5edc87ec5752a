"""Alma, blobs and mail that keep the promises of the real ones, and break what those may break."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.clients.alma import Page, Ref, Threshold, TokenExpired
from core.clients.faults import Changed, Gone, InDoubt, Transient
from core.clients.mail import Mail
from tests.integration.alma_analytics.weather import Weather


class Clock:
    """Time that passes when nothing else can happen; begins now, as the outbox counts by the database's clock."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class Alma:
    """Reports behind cursors, and records."""

    def __init__(self, weather: Weather, clock: Clock) -> None:
        self.weather, self.clock = weather, clock
        self.reports: dict[str, tuple[tuple[str, ...], list[tuple[str | None, ...]]]] = {}
        self.records: dict[tuple[str, ...], dict[str, str | None]] = {}
        self.applied: Counter[tuple[str, ...]] = Counter()
        """Changes that took effect."""
        self.edits: set[tuple[str, ...]] = set()
        self.removals: set[tuple[str, ...]] = set()
        self._cursors: dict[str, tuple[str, int, int]] = {}
        self._served: tuple[Page, str] | None = None
        self._today: Counter[str] = Counter()
        self.requests = 0

    def _count(self) -> None:
        self.requests += 1
        day = f"{self.clock.now:%Y%m%d}"
        self._today[day] += 1
        if self.weather.day_ends_after and self._today[day] > self.weather.day_ends_after:
            raise Threshold("429 DAILY_THRESHOLD", daily=True)
        if self.weather.strikes(self.weather.throttled):
            raise Threshold("429 PER_SECOND_THRESHOLD", daily=False)

    def report_page(
        self, *, path: str, limit: int, filter: str | None = None, token: str | None = None,  # noqa: A002
        known: tuple[str, ...] = (),
    ) -> Page:  # fmt: skip
        with self.weather.maybe_last():
            self._count()
            if token is None:
                token = f"token-{self.requests}"
                self._cursors[token] = (path, limit, 0)
                first = True
            else:
                first = False
                if token not in self._cursors or self.weather.strikes(self.weather.expired):
                    self._cursors.pop(token, None)
                    raise TokenExpired("400 the token is unknown or expired")
            path, limit, at = self._cursors[token]
            columns, rows = self.reports[path]
            if at and self.weather.strikes(self.weather.repeats):
                at -= limit
            taken = rows[at : at + limit]
            if self.weather.strikes(self.weather.broken):
                if self.weather.random.random() < 0.5:
                    self._cursors[token] = (path, limit, at + limit)
                raise Transient("500 INTERNAL_SERVER_ERROR")
            self._cursors[token] = (path, limit, at + limit)
            if self.weather.strikes(self.weather.lost_answer):
                raise InDoubt("no answer")
            del known, filter
            return Page(
                columns=columns, rows=list(taken), finished=at + limit >= len(rows), token=token if first else None
            )

    def get(self, ref: Ref) -> Any:
        with self.weather.maybe_last():
            self._count()
            if self.weather.strikes(self.weather.removed):
                self.records.pop(ref.ids, None)
                self.removals.add(ref.ids)
            if ref.ids not in self.records:
                raise Gone("400 401683 no such item")
            if self.weather.strikes(self.weather.broken):
                raise Transient("503")
            return Document(dict(self.records[ref.ids]))

    def put(self, ref: Ref, document: Any) -> None:
        # Nothing overlaps: a change on its way that another instance cannot see yet is Alma's to prevent, not ours.
        with self.weather.maybe_last(overlaps=False):
            self._count()
            if self.weather.strikes(self.weather.edited):
                self.edits.add(ref.ids)
                self.records[ref.ids]["note"] = "somebody's own"
                raise Changed("400 the record was changed since it was read")
            if self.weather.strikes(self.weather.broken):
                raise Transient("500")
            if ref.ids not in self.records:
                raise Gone("400 401683 no such item")
            self.records[ref.ids] = dict(document.fields)
            self.applied[ref.ids] += 1
            if self.weather.strikes(self.weather.lost_answer):
                raise InDoubt("no answer")


@dataclass
class Document:
    """A record that was read."""

    fields: dict[str, str | None]

    def read(self, name: str) -> str | None:
        return self.fields.get(name)

    def write(self, name: str, value: str | None) -> None:
        self.fields[name] = value


class Blobs:
    """A container."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.kept: dict[str, bytes] = {}

    def get(self, name: str) -> Any:
        return _Kept(self.kept[name]) if name in self.kept else None

    def put(self, name: str, body: bytes, *, etag: str | None = None, kind: str = "") -> str:
        del etag, kind
        with self.weather.maybe_last():
            self.kept[name] = body
        return ""

    def delete(self, name: str) -> None:
        with self.weather.maybe_last():
            self.kept.pop(name, None)

    def names(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted(name for name in self.kept if name.startswith(prefix)))


@dataclass
class _Kept:
    body: bytes


class Mailbox:
    """A provider that takes idempotency keys."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.sent: dict[str, Mail] = {}

    def send(self, mail: Mail, *, idempotency_key: str) -> str:
        with self.weather.maybe_last():
            if self.weather.strikes(self.weather.broken):
                raise Transient("mail 500")
            self.sent.setdefault(idempotency_key, mail)
            if self.weather.strikes(self.weather.lost_answer):
                raise InDoubt("mail: no answer")
        return idempotency_key
