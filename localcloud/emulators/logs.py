"""Log Analytics: workspaces, tables, endpoints and rules as the control plane puts them, and the Logs Ingestion door.

`POST /dataCollectionRules/{immutableId}/streams/{stream}?api-version=2023-01-01`, JSON array, 204. The limits of the
real service are enforced (`logs_shape`), so that code that would fail in Azure fails here. Rate: 12,000 requests and
2 GB a minute per rule, then 429 with Retry-After.
"""

import asyncio
import base64
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from localcloud.emulators.door import Call, Refusal, Troubles
from localcloud.emulators.entra_gate import EntraGate, Need
from localcloud.emulators.logs_collector import Collector, Workspace
from localcloud.emulators.logs_shape import MAX_CALL_BYTES, Column, Row, Rule, read_rule
from localcloud.emulators.logs_tables import Tables
from localcloud.emulators.private_files import keep_private
from localcloud.emulators.refusals import LogsManner, json_reply

AUDIENCE: Final = "https://monitor.azure.com"
API_VERSIONS: Final = frozenset({"2023-01-01", "2021-11-01-preview"})
REQUESTS_A_MINUTE: Final = 12_000
BYTES_A_MINUTE: Final = 2 * 1024**3
_WRITE: Final = ((Need("Microsoft.Insights/Telemetry/Write"),),)
_OFF_LOOP_BYTES: Final = 64 * 1024
"""From here on parsing and storing go to a thread, so that the loop keeps answering others."""


class Logs:
    """Everything about logs in the subscription. `base` is the ingestion door's address."""

    def __init__(self, folder: Path, gate: EntraGate, *, clock: Callable[[], float]) -> None:
        self.tables = Tables(folder)
        self._keys_folder = folder
        self.base = ""
        self.rules: dict[str, Rule] = {}
        self.workspaces: dict[str, Workspace] = {}
        self.ingestion = Ingestion(self, gate, clock)
        self.collector = Collector(self.tables, self.workspaces, clock)

    def close(self) -> None:
        """Closes the tables."""
        self.tables.close()

    def put_workspace(self, arm_id: str, customer_id: str, name: str) -> None:
        """Declares a workspace; its shared key (for the legacy collector only) is made once and kept."""
        file = self._keys_folder / f"workspace-{customer_id}.key"
        key = keep_private(file, lambda: base64.b64encode(secrets.token_bytes(64))).decode()
        self.workspaces[arm_id.lower()] = Workspace(arm_id.lower(), customer_id.lower(), name, key)

    def shared_key(self, workspace_arm_id: str) -> str:
        """The workspace's key, as a person would copy it from the portal into a vault."""
        return self.workspaces[workspace_arm_id.lower()].shared_key

    def remove_workspace(self, arm_id: str) -> None:
        """Removes a workspace and all its rows."""
        self.workspaces.pop(arm_id.lower(), None)
        self.tables.remove(arm_id.lower())

    def put_table(self, workspace_arm_id: str, name: str, columns: list[dict[str, str]]) -> None:
        """Declares a custom table; columns are {"name", "type"}."""
        workspace = self.workspaces.get(workspace_arm_id.lower())
        if workspace is None:
            raise LookupError(
                f"table {name}: its workspace must exist, got {workspace_arm_id}; put the workspace first."
            )
        shaped = [Column(column["name"], column["type"].lower()) for column in columns]
        self.tables.put(workspace.arm_id, workspace.name, name, shaped)

    def remove_table(self, workspace_arm_id: str, name: str) -> None:
        """Removes a table and its rows."""
        self.tables.remove(workspace_arm_id.lower(), name)

    def put_endpoint(self, arm_id: str, name: str) -> str:  # noqa: ARG002 -- all endpoints share one door locally
        """Declares a data collection endpoint; answers its address."""
        return self.base

    def remove_endpoint(self, arm_id: str) -> None:
        """Removes an endpoint; the door stays."""

    def put_rule(
        self,
        arm_id: str,
        immutable_id: str,
        streams: dict[str, Any],
        flows: list[dict[str, Any]],
        destinations: dict[str, Any],
        endpoint_arm_id: str | None = None,  # noqa: ARG002
    ) -> None:
        """Declares a data collection rule in ARM's own shapes; ValueError for one Azure would refuse."""
        rule = read_rule(arm_id, immutable_id, streams, flows, destinations)
        for targets in rule.targets.values():
            for workspace, table in targets:
                if not self.tables.has(workspace.lower(), table):
                    raise ValueError(
                        f"rule {arm_id}: InvalidOutputTable: table {table} must exist in "
                        f"{workspace}; declare the table before the rule."
                    )
        self.rules[immutable_id.lower()] = rule

    def remove_rule(self, arm_id: str) -> None:
        """Removes a rule."""
        for key in [key for key, rule in self.rules.items() if rule.arm_id.lower() == arm_id.lower()]:
            del self.rules[key]

    def query(self, sql: str) -> tuple[list[str], list[list[Any]]]:
        """(columns, rows) of a read-only SQL statement over the tables."""
        return self.tables.query(sql)

    def store(self, rule: Rule, stream: str, body: bytes, now: float) -> int:
        """Parses and appends the rows of one call; Refusal for a body that is no array of objects."""
        try:
            rows = msgspec.json.decode(body, type=list[Row])
        except (msgspec.DecodeError, RecursionError) as error:
            message = f"The request body must be a JSON array of objects: {error}."
            raise Refusal(json_reply(400, "InvalidPayload", message)) from error
        for workspace, table in rule.targets[stream]:
            self.tables.append(workspace.lower(), table, rule.streams[stream], rows, now)
        return len(rows)


class Ingestion:
    """The Logs Ingestion service behind the door."""

    name = "logs"
    troubles = Troubles(json_reply)

    def __init__(self, logs: Logs, gate: EntraGate, clock: Callable[[], float]) -> None:
        self._logs, self._gate, self._clock = logs, gate, clock
        self._spent: dict[str, tuple[int, int, int]] = {}  # rule → (minute, requests, bytes)

    async def admit(self, request: web.BaseRequest) -> Call:
        """Token, then the rule, then the role on it."""
        manner = LogsManner()
        claims = self._gate.claims(request, [AUDIENCE], manner)
        parts = request.path.strip("/").split("/")
        if len(parts) != 4 or (parts[0].lower(), parts[2].lower()) != ("datacollectionrules", "streams"):
            raise Refusal(json_reply(404, "NotFound", f"{request.path} is not /dataCollectionRules/…/streams/…."))
        if request.method != "POST" or request.query.get("api-version") not in API_VERSIONS:
            raise Refusal(
                json_reply(
                    400, "InvalidApiVersion", f"POST with api-version one of {sorted(API_VERSIONS)} is needed.", {}
                )
            )
        rule = self._logs.rules.get(parts[1].lower())
        if rule is None:
            message = f"Data collection rule with immutable Id '{parts[1]}' not found."
            raise Refusal(json_reply(404, "NotFound", message))
        caller = self._gate.require(claims, _WRITE, rule.arm_id, manner, "Upload")
        if parts[3] not in rule.targets:
            message = f"Stream {parts[3]} is not configured in data collection rule {parts[1]}."
            raise Refusal(json_reply(400, "InvalidStream", message))
        return Call("Upload", caller, (rule, parts[3]))

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """Reads at most 1 MB, unpacks at most 1 MB, stores; 204."""
        rule, stream = call.detail
        body = await self._body(request)
        self._spend(rule, len(body))
        if len(body) > _OFF_LOOP_BYTES:
            await asyncio.to_thread(self._logs.store, rule, stream, body, self._clock())
        else:
            self._logs.store(rule, stream, body, self._clock())
        return web.Response(status=204)

    async def _body(self, request: web.BaseRequest) -> bytes:
        packed = bytearray()
        async for chunk in request.content.iter_chunked(_OFF_LOOP_BYTES):
            packed += chunk
            if len(packed) > MAX_CALL_BYTES:
                raise Refusal(_too_large())
        if request.headers.get("Content-Encoding", "").lower() != "gzip":
            return bytes(packed)
        unpacker = zlib.decompressobj(wbits=31)
        try:
            body = unpacker.decompress(bytes(packed), MAX_CALL_BYTES + 1)
        except zlib.error as error:
            raise Refusal(json_reply(400, "InvalidPayload", "The body is not gzip.")) from error
        if len(body) > MAX_CALL_BYTES:
            raise Refusal(_too_large())
        return body

    def _spend(self, rule: Rule, size: int) -> None:
        minute = int(self._clock() // 60)
        then, requests, used = self._spent.get(rule.immutable_id, (minute, 0, 0))
        if then != minute:
            requests = used = 0
        if requests >= REQUESTS_A_MINUTE or used + size > BYTES_A_MINUTE:
            wait = str(max(1, 60 - int(self._clock() % 60)))
            raise Refusal(
                json_reply(
                    429, "TooManyRequests", "The rule's limit for this minute is reached.", {"Retry-After": wait}
                )
            )
        self._spent[rule.immutable_id] = minute, requests + 1, used + size


def _too_large() -> web.Response:
    message = f"Maximum allowed content length: {MAX_CALL_BYTES} bytes (1 MB), compressed and uncompressed."
    return json_reply(413, "ContentLengthLimitExceeded", message)
