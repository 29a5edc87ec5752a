"""Key Vault secrets: set, get, list, versions, delete, with challenge authentication and roles.

One site (port) per vault, because clients read a secret's vault from the host of its id. The challenge names
`https://vault.azure.net`, as Azure's does; the SDK then compares that domain with the vault's host, which on loopback
cannot match: clients are made with `SecretClient(…, verify_challenge_resource=False)` here. Soft delete is not kept: a
deleted secret is gone (locally names may be used again at once).
"""

import json
import re
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from localcloud.emulators.door import Call, Door, Refusal, Troubles
from localcloud.emulators.entra_gate import EntraGate, Need
from localcloud.emulators.private_files import private_folder
from localcloud.emulators.refusals import VAULT as AUDIENCE
from localcloud.emulators.refusals import VaultManner
from localcloud.emulators.refusals import json_reply as _reply

MAX_SECRET_BYTES: Final = 25_600
_NAME: Final = re.compile(r"[0-9a-zA-Z-]{1,127}")
ACTIONS: Final = {
    "SetSecret": "setSecret/action",
    "GetSecret": "getSecret/action",
    "ListSecrets": "readMetadata/action",
    "ListVersions": "readMetadata/action",
    "DeleteSecret": "delete",
}
_SCHEMA: Final = """
create table if not exists secrets (
    vault text not null, name text not null, version text not null, value text not null, created integer not null,
    content_type text, tags text not null, enabled integer not null, seq integer primary key autoincrement
)
"""


class Vaults:
    """All vaults of the subscription. Secrets lie in one 0600 SQLite file."""

    def __init__(self, folder: Path, door: Door, gate: EntraGate, *, clock: Callable[[], float]) -> None:
        file = private_folder(folder) / "secrets.sqlite"
        self._db = sqlite3.connect(file, isolation_level=None)
        file.chmod(0o600)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute(_SCHEMA)
        self._door, self._gate, self._clock = door, gate, clock
        self._uris: dict[str, str] = {}
        self.given: dict[str, str] = {}
        """Secrets that every vault has from its declaration on: keys of outside services that run here. What somebody
        put under such a name stays.
        """

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    async def put_vault(self, arm_id: str, name: str) -> str:
        """Declares a vault; answers its URI."""
        if name not in self._uris:
            service = VaultService(self, name, arm_id, self._gate)
            self._uris[name] = await self._door.open(service, site=f"vault-{name}") + "/"
        for secret, value in self.given.items():
            if self.get_secret(name, secret) is None:
                self.set_secret(name, secret, value)
        return self._uris[name]

    def name_of(self, uri: str) -> str | None:
        """The vault at this URI; None for a stranger's."""
        return next((name for name, known in self._uris.items() if known == uri), None)

    def uris(self) -> list[str]:
        """Every vault's URI, in the order of their declaration."""
        return list(self._uris.values())

    async def remove_vault(self, name: str) -> None:
        """Removes a vault and its secrets."""
        self._uris.pop(name, None)
        await self._door.close(f"vault-{name}")
        self._db.execute("delete from secrets where vault = ?", (name,))

    def set_secret(self, vault: str, name: str, value: str, **more: Any) -> dict[str, Any]:
        """Adds a version; answers its bundle."""
        row = (vault, name.lower(), uuid.uuid4().hex, value, int(self._clock()), more.get("contentType"))
        tags, enabled = json.dumps(more.get("tags") or {}), (more.get("attributes") or {}).get("enabled", True)
        self._db.execute(
            "insert into secrets (vault, name, version, value, created, content_type, tags, enabled) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, tags, enabled),
        )
        return self.bundles(vault, name)[-1]

    def get_secret(self, vault: str, name: str, version: str = "") -> str | None:
        """The value of a secret's latest (or one) version; None when there is none."""
        found = [b for b in self.bundles(vault, name) if not version or b["id"].endswith(f"/{version}")]
        return str(found[-1]["value"]) if found else None

    def names(self, vault: str) -> list[str]:
        """The names of a vault's secrets."""
        return [
            row[0] for row in self._db.execute("select distinct name from secrets where vault = ? order by 1", (vault,))
        ]

    def delete(self, vault: str, name: str) -> None:
        """Removes every version of a secret."""
        self._db.execute("delete from secrets where vault = ? and name = ?", (vault, name.lower()))

    def bundles(self, vault: str, name: str) -> list[dict[str, Any]]:
        """Every version of a secret, oldest first, as Key Vault's SecretBundle."""
        rows = self._db.execute(
            "select version, value, created, content_type, tags, enabled from secrets where vault = ? and name = ? "
            "order by seq",
            (vault, name.lower()),
        )
        return [
            {
                "id": f"{self._uris.get(vault, f'https://{vault}/')}secrets/{name.lower()}/{version}",
                "value": value,
                "attributes": {
                    "enabled": bool(enabled),
                    "created": created,
                    "updated": created,
                    "recoveryLevel": "Purgeable",
                },
                "tags": json.loads(tags),
                **({"contentType": content_type} if content_type else {}),
            }
            for version, value, created, content_type, tags, enabled in rows
        ]


class VaultService:
    """One vault behind the door."""

    name = "vault"
    troubles = Troubles(_reply)

    def __init__(self, vaults: Vaults, vault: str, arm_id: str, gate: EntraGate) -> None:
        self._vaults, self._vault, self._arm_id, self._gate = vaults, vault, arm_id, gate

    async def admit(self, request: web.BaseRequest) -> Call:
        """The path must be one of the secret operations; the scope is the secret's own ARM id."""
        manner = VaultManner()
        claims = self._gate.claims(request, [AUDIENCE], manner)
        parts = request.path.strip("/").split("/")
        operation = _operation(request.method, parts)
        if operation is None:
            raise Refusal(_reply(404, "NotFound", f"{request.method} {request.path} is not emulated."))
        scope = f"{self._arm_id}/secrets/{parts[1]}" if len(parts) > 1 else self._arm_id
        need = Need(f"Microsoft.KeyVault/vaults/secrets/{ACTIONS[operation]}")
        caller = self._gate.require(claims, ((need,),), scope, manner, operation)
        return Call(operation, caller, parts)

    async def answer(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """JSON in Key Vault's shapes."""
        parts: list[str] = call.detail
        if call.operation == "ListSecrets":
            latest = [self._vaults.bundles(self._vault, name)[-1] for name in self._vaults.names(self._vault)]
            return _listing([{**b, "id": b["id"].rpartition("/")[0]} for b in latest])
        name = parts[1]
        if call.operation == "SetSecret":
            return self._set(name, await request.read())
        bundles = self._vaults.bundles(self._vault, name)
        if not bundles:
            return _reply(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
        if call.operation == "ListVersions":
            return _listing(bundles)
        if call.operation == "DeleteSecret":
            self._vaults.delete(self._vault, name)
            return web.json_response(bundles[-1])
        return _one_version(name, parts[2] if len(parts) > 2 else "", bundles)

    def _set(self, name: str, body: bytes) -> web.Response:
        try:
            given = msgspec.json.decode(body, type=_NewSecret)
        except (msgspec.MsgspecError, RecursionError) as error:
            return _reply(400, "BadParameter", f"The body must be a secret: {error}.")
        if len(given.value.encode()) > MAX_SECRET_BYTES or not _NAME.fullmatch(name):
            limits = f"at most {MAX_SECRET_BYTES} bytes under a name of 1 to 127 letters, digits and dashes"
            return _reply(400, "BadParameter", f"A secret must have {limits}.")
        more = {
            "contentType": given.content_type,
            "tags": given.tags,
            "attributes": {"enabled": given.attributes.enabled},
        }
        return web.json_response(self._vaults.set_secret(self._vault, name, given.value, **more))


class _Attributes(msgspec.Struct):
    enabled: bool = True


class _NewSecret(msgspec.Struct, rename="camel"):
    value: str
    content_type: str | None = None
    tags: dict[str, str] | None = None
    attributes: _Attributes = msgspec.field(default_factory=_Attributes)


def _one_version(name: str, version: str, bundles: list[dict[str, Any]]) -> web.Response:
    found = [b for b in bundles if not version or b["id"].endswith(f"/{version}")]
    if not found:
        return _reply(404, "SecretNotFound", f"The secret {name} has no version {version}.")
    if not found[-1]["attributes"]["enabled"]:
        return _reply(403, "Forbidden", "Operation get is not allowed on a disabled secret.")
    return web.json_response(found[-1])


def _operation(method: str, parts: list[str]) -> str | None:
    if parts[0] != "secrets" or len(parts) > 3:
        return None
    if len(parts) == 1:
        return "ListSecrets" if method == "GET" else None
    if parts[-1] == "versions" and method == "GET":
        return "ListVersions"
    return {"GET": "GetSecret", "PUT": "SetSecret", "DELETE": "DeleteSecret"}.get(method)


def _listing(bundles: list[dict[str, Any]]) -> web.Response:
    return web.json_response(
        {"value": [{k: v for k, v in b.items() if k != "value"} for b in bundles], "nextLink": None}
    )
