"""Alma's REST API: Analytics reports by page, and bibs, holdings, items and users by GET and PUT.

https://developers.exlibrisgroup.com/alma/apis/: key in `Authorization: apikey …`; errors as `web_service_result` (XML)
or `errorList` (JSON), with 400 for most of them, missing records included; 429 with PER_SECOND_THRESHOLD or
DAILY_THRESHOLD; requests left until midnight UTC in `X-Exl-Api-Remaining`.

Each call is one try. A report's cursor lives at Alma and moves with every GET, answered or not, so that a blind second
try would skip a page; and an update whose answer is lost may have happened. What to do then only the caller knows.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote

import msgspec

from core.clients.alma_errors import DAILY, NO_MORE_ROWS, PER_SECOND, words_of
from core.clients.alma_record import MAX_BYTES, Document, JsonDocument, XmlDocument
from core.clients.alma_report import MAX_BYTES as MAX_REPORT_BYTES
from core.clients.alma_report import Page, ReportFault, read_page
from core.clients.faults import Changed, Corrupt, Denied, Fault, Gone, InDoubt, Refused, Transient
from core.clients.http import Answer, Http

__all__ = ["Alma", "Document", "Page", "Ref", "ReportFault", "Threshold", "TokenExpired"]

Kind = Literal["bib", "holding", "item", "user"]
LIMITS = range(25, 1001, 25)
"""Rows a page, documented."""
_IDS: dict[Kind, tuple[str, ...]] = {
    "bib": ("bibs",),
    "holding": ("bibs", "holdings"),
    "item": ("bibs", "holdings", "items"),
    "user": ("users",),
}
_JSON = frozenset({"item", "user"})
_OVERRIDDEN = {
    **{
        name: name
        for name in (
            *("user_group", "job_category", "pin_number", "preferred_language", "campus_code", "user_title"),
            *("pref_first_name", "pref_middle_name", "pref_last_name", "cataloger_level"),
        )
    },
    "rs_library": "rs_libraries",
    "library_notice": "library_notices",
}
"""Fields of a user that Alma replaces only when `override` names them, in its words (documented)."""
_NO_REPORT = re.compile(r"path|catalog|not found|does not exist|permission", re.IGNORECASE)


class Threshold(Transient):
    """Too many requests, this second or today."""

    def __init__(self, text: str, *, daily: bool) -> None:
        super().__init__(text)
        self.daily = daily
        """No request will be taken before 00:00 UTC."""


class TokenExpired(Gone):
    """The report's cursor is gone or at its end: the report must be begun anew."""


class Ref(msgspec.Struct, frozen=True):
    """A record. ids: bib (mms_id,), holding (mms_id, holding_id), item (mms_id, holding_id, item_pid),
    user (primary_id,).
    """

    kind: Kind
    ids: tuple[str, ...]

    def path(self) -> str:
        """Below /almaws/v1/. Raises Refused for ids that are no address."""
        parts = _IDS[self.kind]
        if len(self.ids) != len(parts) or not all(one.strip(" .") for one in self.ids):
            raise Refused(f"{self.kind}: must have {len(parts)} ids, none of them empty, got {self.ids!r}")
        return "/".join(f"{part}/{quote(one, safe='')}" for part, one in zip(parts, self.ids, strict=True))


def no_pace() -> None:
    """For tests and single calls."""


class Alma:
    """One institution. Thread-safe."""

    def __init__(self, http: Http, *, url: str, key: str, pace: Callable[[], None] = no_pace) -> None:
        """`pace` is called right before each request leaves, on a connection that is there, and may wait."""
        self._http = http
        self._base = f"{url.rstrip('/')}/almaws/v1/"
        self._key = key
        self._pace = pace
        self._lock = threading.Lock()
        self.requests = 0
        """Sent so far."""
        self.remaining: int | None = None
        """Requests left until midnight UTC, as the last answer said."""

    def report_page(
        self,
        *,
        path: str,
        limit: int,
        filter: str | None = None,  # noqa: A002 - Alma's own name
        token: str | None = None,
        known: tuple[str, ...] = (),
    ) -> Page:
        """The first page of a report, or with `token` the next one: `path` and `filter` are not sent again.

        `known`: the first page's columns, for later pages, which often come without any. Raises TokenExpired,
        Threshold, Denied, ReportFault for good; InDoubt, Corrupt or Transient when the cursor may have moved unseen.
        """
        if limit not in LIMITS:
            raise ReportFault(f"report {path}: limit must be 25 to 1000, a multiple of 25, got {limit}")
        if token is None:
            query = f"path={quote(path, safe='')}&limit={limit}&col_names=true"
            query += f"&filter={quote(filter, safe='')}" if filter else ""
        else:
            query = f"token={quote(token, safe='')}&limit={limit}"
        what = f"report {path}"
        try:
            answer = self._send("GET", f"analytics/reports?{query}", "application/xml", most=MAX_REPORT_BYTES)
        except Refused as error:
            raise ReportFault(str(error)) from error
        if answer.status != 200:
            raise self._report_fault(answer, what, going_on=token is not None)
        try:
            return read_page(answer.body, known)
        except ReportFault as error:
            if words_of(answer.body).code:  # an error under a status that says otherwise
                raise self._report_fault(answer, what, going_on=token is not None) from error
            raise ReportFault(f"{what}: {error}") from error

    def get(self, ref: Ref) -> Document:
        """The record as it is now. Raises Gone when there is none, and the faults of one try."""
        answer = self._send("GET", ref.path(), _media(ref), most=MAX_BYTES)
        if answer.status != 200:
            raise self._fault(answer, _named(ref))
        try:
            return _document(ref, answer.body)
        except (Corrupt, Refused) as error:
            raise type(error)(f"{_named(ref)}: {error}") from error

    def put(self, ref: Ref, document: Document) -> None:
        """Replaces the record. Of a bib only the version that was read (Alma compares its 005; raises Changed): other
        kinds have no such check. Raises Refused as well when Alma took the record but not a field of it.
        """
        query = ""
        if ref.kind == "bib":
            query = "?stale_version_check=true"
        elif ref.kind == "user":
            fields = {field.partition(".")[0] for field in document.written}
            names = sorted(_OVERRIDDEN[field] for field in fields & _OVERRIDDEN.keys())
            query = f"?override={','.join(names)}" if names else ""
        answer = self._send("PUT", ref.path() + query, _media(ref), document.encode(), most=MAX_BYTES)
        if answer.status != 200:
            raise self._fault(answer, _named(ref), wrote=True)
        self._check_taken(ref, document, answer.body)

    def _check_taken(self, ref: Ref, document: Document, body: bytes) -> None:
        try:
            now = _document(ref, body)
        except (Corrupt, Refused) as error:
            raise InDoubt(f"{_named(ref)}: its update was answered with something unreadable: {error}") from error
        for field, value in document.written.items():
            if (now.read(field) or "").strip() != (value or "").strip():
                raise Refused(
                    f"{_named(ref)}: Alma took the record, but {field} must now be {value!r} and is "
                    f"{now.read(field)!r}; correct the field's name, or see what Alma may not change"
                )

    def _send(self, method: str, target: str, media: str, body: bytes | None = None, *, most: int) -> Answer:
        headers = {"Authorization": f"apikey {self._key}", "Accept": media}
        if body is not None:
            headers["Content-Type"] = media
        answer = self._http.once(method, self._base + target, headers=headers, body=body, ready=self._ready, most=most)
        left = answer.headers.get("X-Exl-Api-Remaining", "")
        if left.isascii() and left.isdigit():
            self.remaining = int(left)
        return answer

    def _ready(self) -> None:
        self._pace()
        with self._lock:
            self.requests += 1

    def _report_fault(self, answer: Answer, what: str, *, going_on: bool) -> Fault:
        fault = self._fault(answer, what)
        if isinstance(fault, Threshold | Denied):
            return fault
        words = words_of(answer.body)
        lasting = isinstance(fault, Refused | Gone)
        if going_on:  # all that such a request says is the token
            return TokenExpired(str(fault)) if lasting or words.code in NO_MORE_ROWS else fault
        return ReportFault(str(fault)) if lasting or (words.code and _NO_REPORT.search(words.text)) else fault

    def _fault(self, answer: Answer, what: str, *, wrote: bool = False) -> Fault:
        """What an answer that is not the wanted one means."""
        words = words_of(answer.body)
        text = f"{what}: {answer.status} {words.shown(self._key)}".rstrip()
        if answer.status == 429 or words.code in {DAILY, PER_SECOND}:
            return Threshold(text, daily=words.code == DAILY)
        meanings: tuple[tuple[bool, type[Fault]], ...] = (
            (answer.status in {401, 403} or words.denied, Denied),
            (words.stale, Changed),
            (answer.status == 404 or words.missing(in_words=answer.status < 500), Gone),
            (answer.status in {502, 504} and wrote, InDoubt),
            (answer.status == 408 or answer.status >= 500, Transient),
        )
        return next((kind for holds, kind in meanings if holds), Refused)(text)


def _media(ref: Ref) -> str:
    return JsonDocument.media_type if ref.kind in _JSON else XmlDocument.media_type


def _document(ref: Ref, body: bytes) -> Document:
    return JsonDocument(body) if ref.kind in _JSON else XmlDocument(body)


def _named(ref: Ref) -> str:
    return f"{ref.kind} {'/'.join(ref.ids)}"
