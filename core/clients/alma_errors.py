"""Alma's error bodies, as XML and as JSON, and what their codes mean.

Documented: the gateway's codes (https://developers.exlibrisgroup.com/alma/apis/#error) and each service's numbers. The
same trouble comes with different statuses (UNAUTHORIZED with 400, 401 and 403), so that the code counts first.
"""

from __future__ import annotations

import re

import msgspec

from core.clients.faults import Fault
from core.clients.xml_safe import local, parse

DAILY, PER_SECOND = "DAILY_THRESHOLD", "PER_SECOND_THRESHOLD"
NO_MORE_ROWS = frozenset({"420033"})
"""With 500: the cursor is at its end."""
_DENIED = frozenset({"UNAUTHORIZED", "FORBIDDEN"})
_MISSING = frozenset(
    {
        *("402203", "33007"),  # bib
        *("60213", "402219"),  # holding
        *("401689", "401873", "60121"),  # item
        *("401861", "401890"),  # user
    }
)
_SAYS_MISSING = re.compile(
    r"\b(not found|does not exist|do not exist|no (record|item|user|holding)s? (was |were )?found)\b", re.IGNORECASE
)
"""Alma's wording has changed with the years and the services; these codes and words are what was seen."""
_SAYS_STALE = re.compile(r"\b(stale|newer) version|version .* (stale|changed|modified)", re.IGNORECASE)
_MAX_BYTES = 1024 * 1024
_SHOWN = 300
"""Characters of a service's own words in a message."""


class Words(msgspec.Struct, frozen=True):
    """What an error body says: its first error."""

    code: str
    text: str
    tracking: str = ""
    """What Ex Libris' support asks for."""

    @property
    def denied(self) -> bool:
        """The key may not do that."""
        return self.code in _DENIED

    def missing(self, *, in_words: bool) -> bool:
        """There is no such record, by the code or, where that may be trusted, by the words."""
        return self.code in _MISSING or (in_words and _SAYS_MISSING.search(self.text) is not None)

    @property
    def stale(self) -> bool:
        """The record is not what it was when it was read."""
        return _SAYS_STALE.search(self.text) is not None

    def shown(self, key: str) -> str:
        """For a message: never with the key in it."""
        told = " ".join(f"{self.code} {self.text}".split())[:_SHOWN]
        told = told.replace(key, "***") if key else told
        return f"{told} (tracking id {self.tracking})" if self.tracking else told


def words_of(body: bytes) -> Words:
    """The first error of a body; of one that has none its own words, without a code."""
    stripped = body.lstrip()
    try:
        if stripped.startswith(b"{"):
            first = msgspec.json.decode(stripped, type=_Answer).first()
            if first is not None:
                return Words(str(first.code or ""), first.text or "", first.tracking or "")
        elif stripped.startswith(b"<"):
            found = _Errors()
            parse(body, found, max_bytes=_MAX_BYTES)
            if found.first.get("errorCode"):
                told = found.first
                return Words(told["errorCode"], told.get("errorMessage", ""), told.get("trackingId", ""))
    except (msgspec.MsgspecError, RecursionError, Fault):
        pass  # somebody else's error page
    return Words("", re.sub(r"<[^>]*>", " ", stripped[:2000].decode("utf-8", "replace")))


class _Error(msgspec.Struct, rename={"code": "errorCode", "text": "errorMessage", "tracking": "trackingId"}):
    code: str | int | None = None
    text: str | None = None
    tracking: str | None = None


class _List(msgspec.Struct):
    error: list[_Error] | _Error = []
    """One that is alone may stand without its list, where XML was made JSON on the way."""


class _Answer(msgspec.Struct, rename={"error_list": "errorList"}):
    """With or without the level that the XML has around it: both are seen."""

    error_list: _List | None = None
    web_service_result: _Answer | None = None

    def first(self) -> _Error | None:
        """The first error."""
        errors = self.error_list.error if self.error_list else []
        if isinstance(errors, _Error):
            return errors
        if errors:
            return errors[0]
        return self.web_service_result.first() if self.web_service_result else None


class _Errors:
    """Takes the first `error` of a web_service_result."""

    def __init__(self) -> None:
        self.first: dict[str, str] = {}
        self._text: list[str] = []

    def start(self, _tag: str, _attrs: dict[str, str]) -> None:
        self._text = []

    def data(self, data: str) -> None:
        self._text.append(data)

    def end(self, tag: str) -> None:
        if local(tag) in {"errorCode", "errorMessage", "trackingId"}:
            self.first.setdefault(local(tag), "".join(self._text).strip())
        self._text = []
