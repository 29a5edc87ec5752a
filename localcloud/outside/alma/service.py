"""The stand-in behind the door: key, thresholds, journal; then the report or the record.

Faults are the door's (service `alma`; operations GetReport, GetBib, PutBib, GetHolding, PutHolding, GetItem, PutItem,
GetUser, PutUser): they come after the request was counted and before or after it is carried out, as between a real
gateway and its caller.
"""

import asyncio
import datetime as dt
import hmac
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from localcloud.emulators.door import Call, Refusal, Troubles
from localcloud.outside.alma import settings as settings_
from localcloud.outside.alma.answers import XML, No, refusal
from localcloud.outside.alma.data import Kind, Library
from localcloud.outside.alma.journal import Entry, Journal
from localcloud.outside.alma.meddling import Meddlers
from localcloud.outside.alma.records import belongs, missing, updated
from localcloud.outside.alma.reports import Reports
from localcloud.outside.alma.settings import Settings
from localcloud.outside.rate import SlidingSecond

BASE: Final = "/almaws/v1/"
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
_SHAPES: Final[dict[tuple[str, ...], Kind]] = {
    ("bibs",): "bib",
    ("bibs", "holdings"): "holding",
    ("bibs", "holdings", "items"): "item",
    ("users",): "user",
}
_NUMERIC: Final = frozenset({"bib", "holding", "item"})


class AlmaService:
    """One institution."""

    name = "alma"
    troubles = Troubles(
        refusal,
        busy=(500, "INTERNAL_SERVER_ERROR"),
        throttled=(429, "PER_SECOND_THRESHOLD"),
        expired=(403, "UNAUTHORIZED"),
    )

    def __init__(self, folder: Path, key: str, *, clock: Callable[[], float]) -> None:
        """`folder` holds the data, the settings and the journal; `key` is the one API key."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._key, self._clock = folder, key, clock
        self.library = Library(folder)
        self.journal = Journal(folder)
        self._meddlers = Meddlers(folder, self.library)
        self.reports = Reports(self.library, clock)
        self._last = Settings()
        self._second = SlidingSecond()
        self._days = Counter(_day(at) for at in self.journal.kept)

    async def admit(self, request: web.BaseRequest) -> Call:
        """Counts it or turns it away."""
        entry = Entry(n=0, at=self._clock())
        try:
            self._check_key(request, entry)
            call = self._route(request, entry)
            self._count(entry)
        except No as no:
            entry.status, entry.code = no.status, no.code
            entry.counted = False
            self.journal.asked(entry)
            raise Refusal(self._no(request, no), entry.operation or "?") from no
        self.journal.asked(entry)
        return call

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """Carries it out, after the latency."""
        entry, kind, ids = call.detail
        latency = self._settings().latency_ms
        if latency:
            await asyncio.sleep(latency / 1000)
        try:
            body, media = await self._done(request, entry, kind, ids)
        except No as no:
            entry.status, entry.code = no.status, no.code
            self.journal.done(entry)
            return self._no(request, no)
        entry.status = 200
        self.journal.done(entry)
        return web.Response(body=body, headers={"Content-Type": media, **self._left()})

    def _check_key(self, request: web.BaseRequest, entry: Entry) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "apikey" or len(request.headers.getall("Authorization")) > 1:
            given = "" if scheme else request.query.get("apikey", "")
        if not given:
            raise No(401, "UNAUTHORIZED", "API-key is missing")
        entry.caller = f"…{given[-4:]}" if len(given) > 8 else "?"
        if not hmac.compare_digest(given.encode(errors="replace"), self._key.encode()):
            raise No(403, "UNAUTHORIZED", "API-key not defined or not configured to allow this API.")

    def _route(self, request: web.BaseRequest, entry: Entry) -> Call:
        path = request.rel_url.raw_path
        parts = [unquote(part) for part in path.removeprefix(BASE).split("/")]
        kind: Kind | None = None
        ids: tuple[str, ...] = ()
        if path == f"{BASE}analytics/reports" and request.method == "GET":
            entry.operation = "GetReport"
            entry.what = request.query.get("path") or f"token {request.query.get('token', '')[:8]}"
        else:
            kind = _SHAPES.get(tuple(parts[::2])) if path.startswith(BASE) and len(parts) % 2 == 0 else None
            if kind is None or request.method not in {"GET", "PUT"}:
                raise No(404, "GENERAL_ERROR", f"{request.method} {path[:200]} is not emulated")
            ids = tuple(parts[1::2])
            entry.operation = f"{request.method.title()}{kind.title()}"
            entry.what = f"{kind} {'/'.join(ids)}"
        return Call(entry.operation, entry.caller, (entry, kind, ids))

    def _count(self, entry: Entry) -> None:
        """The limits: in any second, and in a day of UTC. What is turned away is not counted."""
        settings = self._settings()
        if settings.per_day and self._days[_day(entry.at)] >= settings.per_day:
            raise No(429, "DAILY_THRESHOLD", "HTTP requests are more than allowed per day")
        if not self._second.take(entry.at, settings.per_second):
            raise No(429, "PER_SECOND_THRESHOLD", "HTTP requests are more than allowed per second")
        self._days[_day(entry.at)] += 1

    async def _done(
        self, request: web.BaseRequest, entry: Entry, kind: Kind | None, ids: tuple[str, ...]
    ) -> tuple[bytes, str]:
        if kind is None:
            served = self.reports.page(dict(request.query), self._settings().token_minutes * 60)
            entry.cursor, entry.first, entry.rows = served.cursor, served.first, served.rows
            return served.body, XML
        media = _media(request, kind)
        stored = self._stored(kind, ids)
        if request.method == "GET":
            self._meddle(kind, ids)
            return stored, media
        body = await request.read()
        if len(body) > MAX_BODY_BYTES:
            raise No(403, "REQUEST_TOO_LARGE", "The request is too large")
        stored = self._stored(kind, ids)  # reading the body took time
        try:
            made = updated(kind, ids, stored, body, dict(request.query), entry.at, self.library)
        except ValueError as error:
            raise No(500, "INTERNAL_SERVER_ERROR", f"{kind} {ids[-1]}: {error}; correct its file") from error
        entry.changed = made != stored
        self.library.put_record(kind, ids[-1], made)
        return made, media

    def _meddle(self, kind: Kind, ids: tuple[str, ...]) -> None:
        try:
            done = self._meddlers.after_get(kind, ids[-1])
        except ValueError as error:
            raise No(500, "INTERNAL_SERVER_ERROR", f"meddling: {error}") from error
        if done is not None:
            what = f"{kind} {'/'.join(ids)}"
            self.journal.asked(Entry(n=0, at=self._clock(), operation="Meddle", what=what, code=done.action, status=200,
                                     counted=False))  # fmt: skip

    def _stored(self, kind: Kind, ids: tuple[str, ...]) -> bytes:
        wrong = next((one for one in ids if not (one.isascii() and one.isdigit())), None)
        if kind in _NUMERIC and wrong is not None:
            raise No(400, "402204", f"Input parameters mmsId {wrong[:80]} is not numeric.")
        stored = self.library.record(kind, ids[-1])
        try:
            if stored is None or not belongs(kind, ids, stored):
                raise missing(kind, ids)
        except ValueError as error:
            raise No(500, "INTERNAL_SERVER_ERROR", f"{kind} {ids[-1]}: {error}") from error
        return stored

    def _settings(self) -> Settings:
        try:
            self._last = settings_.read(self.folder)
        except ValueError as error:
            raise No(500, "INTERNAL_SERVER_ERROR", str(error)) from error
        return self._last

    def _left(self) -> dict[str, str]:
        limit = self._last.per_day
        left = max(0, limit - self._days[_day(self._clock())]) if limit else 999_999
        return {"X-Exl-Api-Remaining": str(left)}

    def _no(self, request: web.BaseRequest, no: No) -> web.Response:
        headers: dict[str, str] = {}
        if no.status not in {401, 403}:
            headers = self._left()
        wants_json = "json" in request.headers.get("Accept", "")
        return refusal(no.status, no.code, no.text, headers, json=wants_json)


def _day(at: float) -> dt.date:
    return dt.datetime.fromtimestamp(at, dt.UTC).date()


def _media(request: web.BaseRequest, kind: Kind) -> str:
    """JSON for items and users, XML for bibs and holdings: what this stand-in keeps them in."""
    json = kind in {"item", "user"}
    names = [request.headers.get("Accept", "*/*")]
    if request.method == "PUT":
        names.append(request.headers.get("Content-Type", ""))
        if not json and "json" in names[1]:
            raise No(400, "60105", "JSON is not supported for this API.")
    for name in names:
        if name != "*/*" and ("json" if json else "xml") not in name:
            kept = "JSON" if json else "XML"
            raise No(400, "401652", f"The stand-in keeps a {kind} as {kept}: ask for and send that, got {name!r}")
    return "application/json;charset=UTF-8" if json else XML
