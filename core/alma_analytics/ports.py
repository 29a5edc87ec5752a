"""What alma_analytics needs from outside, as Protocols: real clients, or anything that keeps the same promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

import msgspec
from psycopg import Connection

from core.clients.alma import Document, Page, Ref

Row = dict[str, Any]
Tx = Connection[Row]
"""A connection inside its transaction."""


class Database(Protocol):
    """The system's database."""

    def transaction(self) -> AbstractContextManager[Tx]:
        """Commits at its end, rolls back on an error. Raises Transient, Denied."""


class Outbox(Protocol):
    """Messages that leave once what they tell of is committed."""

    def put(
        self,
        tx: Tx,
        *,
        run_id: str,
        queue: str,
        message: msgspec.Struct,
        message_id: str,
        traceparent: str,
        not_before: datetime | None = None,
    ) -> None:
        """Part of the transaction."""

    def flush(self, run_id: str) -> int:
        """Sends what is committed of a run."""


class Reports(Protocol):
    """Alma Analytics."""

    def report_page(
        self,
        *,
        path: str,
        limit: int,
        filter: str | None = None,  # noqa: A002 - Alma's own word
        token: str | None = None,
        known: tuple[str, ...] = (),
    ) -> Page:
        """One page; one call, whatever comes of it. `known`: the columns of the pages before."""


class Records(Protocol):
    """Alma's records."""

    def get(self, ref: Ref) -> Document:
        """The record as it is. Raises Gone."""

    def put(self, ref: Ref, document: Document) -> None:
        """The record as it shall be. Raises Changed where Alma knows that it is another by now."""


class Kept(Protocol):
    """A stored blob."""

    @property
    def body(self) -> bytes:
        """Content."""


class Container(Protocol):
    """A blob container."""

    def get(self, name: str) -> Kept | None:
        """None when there is no such blob."""

    def put(self, name: str, body: bytes, *, etag: str | None = None, kind: str = ...) -> str:
        """Writes the blob whole, over what is there."""

    def delete(self, name: str) -> None:
        """Removes it when it is there."""

    def names(self, prefix: str = "") -> Iterator[str]:
        """Names that begin with `prefix`."""


Values = Mapping[str, str | None]
"""Fields of a record and what they hold."""
