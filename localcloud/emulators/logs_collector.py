"""The HTTP Data Collector API (legacy): `POST /api/logs?api-version=2016-04-01` with a shared key, 200.

Source: *HTTP Data Collector API*. Columns get a suffix by type: `_s` string, `_d` double, `_b` boolean, `_t`
date-time (ISO 8601 strings), `_g` GUID; the table is Log-Type + `_CL`. Limits: 30 MB a post, 32 KB a field (cut). 403
for a wrong signature.
"""

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from localcloud.emulators.door import Call, Refusal, Troubles
from localcloud.emulators.logs_shape import Column, Row
from localcloud.emulators.logs_tables import Tables

API_VERSION: Final = "2016-04-01"
MAX_POST_BYTES: Final = 30 * 1024**2
MAX_FIELD_BYTES: Final = 32 * 1024
MAX_DATE_AGE_S: Final = 900
_LOG_TYPE: Final = re.compile(r"[A-Za-z0-9_]{1,100}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Workspace(msgspec.Struct, frozen=True):
    """A Log Analytics workspace."""

    arm_id: str
    customer_id: str
    name: str
    shared_key: str


class Collector:
    """The legacy service behind the door."""

    name = "collector"

    troubles: Troubles

    def __init__(self, tables: Tables, workspaces: dict[str, Workspace], clock: Callable[[], float]) -> None:
        self.troubles = Troubles(_error)
        self._tables, self._workspaces, self._clock = tables, workspaces, clock

    async def admit(self, request: web.BaseRequest) -> Call:
        """Checks the shared-key signature over the body's length and the date."""
        if request.path != "/api/logs" or request.query.get("api-version") != API_VERSION:
            raise Refusal(
                _error(
                    404 if request.path != "/api/logs" else 400,
                    "InvalidApiVersion",
                    "The API version is not supported.",
                )
            )
        body = await request.read()
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        customer_id, _, signature = rest.partition(":")
        workspace = next((w for w in self._workspaces.values() if w.customer_id == customer_id.lower()), None)
        if scheme != "SharedKey" or workspace is None:
            raise Refusal(_error(403, "InvalidAuthorization", "The service failed to authenticate the request."))
        date = request.headers.get("x-ms-date", "")
        to_sign = f"POST\n{len(body)}\n{request.headers.get('Content-Type', '')}\nx-ms-date:{date}\n/api/logs"
        key = base64.b64decode(workspace.shared_key)
        expected = base64.b64encode(
            hmac.new(key, to_sign.encode(errors="surrogateescape"), hashlib.sha256).digest()
        ).decode()
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="surrogateescape")) or not self._recent(
            date
        ):
            raise Refusal(_error(403, "InvalidAuthorization", "The service failed to authenticate the request."))
        return Call("Post", customer_id, (workspace, body))

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """Makes or widens the table, appends; 200 with an empty body."""
        workspace, body = call.detail
        log_type = request.headers.get("Log-Type", "")
        if not _LOG_TYPE.fullmatch(log_type):
            return _error(400, "InvalidLogType", "The log type must be letters, digits and underscores, at most 100.")
        if len(body) > MAX_POST_BYTES:
            return _error(404, "RequestTooLarge", "The post exceeds 30 MB.")
        time_field = request.headers.get("time-generated-field", "")
        # Up to 30 MB of JSON: in a thread, so that the loop keeps answering others.
        return await asyncio.to_thread(self._store, workspace, f"{log_type}_CL", body, time_field)

    def _store(self, workspace: Workspace, table: str, body: bytes, time_field: str) -> web.Response:
        try:
            decoded = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            return _error(400, "InvalidDataFormat", f"Invalid JSON was submitted: {error}.")
        rows = decoded if isinstance(decoded, list) else [decoded]
        if not all(isinstance(row, dict) for row in rows):
            return _error(400, "InvalidDataFormat", "The body must be an object or an array of objects.")
        columns, shaped = _shape(rows, time_field)
        self._tables.put(workspace.arm_id, workspace.name, table, columns)
        self._tables.append(workspace.arm_id, table, columns, shaped, self._clock())
        return web.Response(status=200)

    def _recent(self, date: str) -> bool:
        try:
            return abs(parsedate_to_datetime(date).timestamp() - self._clock()) <= MAX_DATE_AGE_S
        except (TypeError, ValueError):
            return False


def _shape(rows: list[Row], time_field: str) -> tuple[list[Column], list[Row]]:
    """Rows with suffixed names, and the columns they have."""
    columns: dict[str, Column] = {"TimeGenerated": Column("TimeGenerated", "datetime")}
    shaped: list[Row] = []
    for row in rows:
        out: Row = {"TimeGenerated": row.get(time_field)} if time_field else {}
        for name, value in row.items():
            if value is None:
                continue
            suffix, kind = _kind(value)
            columns.setdefault(name + suffix, Column(name + suffix, kind))
            out[name + suffix] = _cut(value) if kind == "string" else value
        shaped.append(out)
    return list(columns.values()), shaped


def _kind(value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return "_b", "boolean"
    if isinstance(value, int | float):
        return "_d", "real"
    if isinstance(value, str) and _TIME.fullmatch(value):
        return "_t", "datetime"
    if isinstance(value, str) and _GUID.fullmatch(value):
        return "_g", "guid"
    return "_s", "string"


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) * 4 <= MAX_FIELD_BYTES:
        return text
    return text.encode()[:MAX_FIELD_BYTES].decode(errors="ignore")


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"Error": code, "Message": message}, status=status, headers=headers)
