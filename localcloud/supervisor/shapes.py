"""The shapes that the supervisor's API and its callers share."""

from typing import Any

import msgspec

from localcloud.emulators.queue_depth import QueueDepth
from localcloud.host.spec import AppStatus


class ResourceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One resource that exists."""

    type: str
    id: str
    name: str


class CloudStatus(msgspec.Struct, kw_only=True):
    """Everything `./millrace status` shows."""

    apps: list[AppStatus]
    problems: dict[str, str]
    """Apps that do not run, parts of the cloud that do not work (storage, disk, certificate), and why."""
    queues: list[QueueDepth]
    resources: list[ResourceLine]
    endpoints: dict[str, str]
    in_flight: int
    """Messages visible, invisible or scheduled, dead letters apart."""
    busy: int
    """Handlers running."""
    fired: int
    """Those among them that were asked for by hand and may not have begun."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How the deployer reaches this cloud: what an engine's process needs in its environment."""

    identity_endpoint: str
    identity_header: str
    client_id: str
    ca_file: str
    management: str
    collector: str
    alma: str
    mail: str

    def settings(self) -> dict[str, str]:
        """Settings of the program that only a running local cloud knows."""
        return {
            "managementUrl": self.management,
            "collectorUrl": self.collector,
            "almaUrl": self.alma,
            "mailUrl": self.mail,
        }


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """The outside world's own AWS keys: who writes logs into a bucket."""

    access_key: str
    secret_key: str
    region: str


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """How the operator reaches the dead-letter places: an identity with roles on them, and the account's AWS keys."""

    identity_endpoint: str
    identity_header: str
    client_id: str
    aws: Outside
    endpoints: dict[str, str]


class PoisonMove(msgspec.Struct, frozen=True, kw_only=True):
    """Move these messages of `{queue}-poison` back to the queue, at most `rate` a second (0: no limit)."""

    account: str
    queue: str
    ids: list[str]
    rate: float = 0


class PoisonMoved(msgspec.Struct, frozen=True, kw_only=True):
    """How far the last move is."""

    moved: int
    running: bool
    failure: str = ""


class Fire(msgspec.Struct, frozen=True, kw_only=True):
    """Run a function now."""

    app: str
    function: str


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """SQL over the local Log Analytics tables, read-only."""

    sql: str


class QueryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Columns and rows."""

    columns: list[str]
    rows: list[list[Any]]


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """Put a secret into a vault: `value`, or else the shared key of a workspace (by its resource id)."""

    vault_uri: str
    name: str
    value: str = ""
    key_of_workspace: str = ""


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A token for a declared identity."""

    identity: str
    audience: str
