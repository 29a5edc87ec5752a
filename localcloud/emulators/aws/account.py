"""The one local AWS account: roles, OIDC providers, temporary sessions, and who a signed request comes from.

Sessions and the root key are durable (0600): a handler's cached credentials outlive a restart. Roles, policies and
providers are put again by the control plane.
"""

import hashlib
import hmac
import json
import secrets
import sqlite3
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from localcloud.emulators.aws.errors import AwsError
from localcloud.emulators.aws.policy import Context, Statement, decide, parse
from localcloud.emulators.aws.sigv4 import check_signature, read_signature
from localcloud.emulators.private_files import keep_private, private_folder

_UPPER: Final = string.ascii_uppercase + "234567"


@dataclass(slots=True)
class Role:
    """An IAM role: who may take it (`trust`) and what it may do (`policies` by name)."""

    name: str
    arn: str
    role_id: str
    trust: list[Statement]
    trust_text: str
    max_session_s: int
    policies: dict[str, list[Statement]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provider:
    """An IAM OpenID Connect provider. `url` is without its scheme, as in condition keys."""

    arn: str
    url: str
    audiences: frozenset[str]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request; the root of the account, a role's session, or nobody."""

    arn: str
    user_id: str
    role: Role | None = None
    root: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Temporary credentials."""

    access_key: str
    secret: str
    token: str
    expires: float
    arn: str
    user_id: str


class Account:
    """Identities of the account and the decision whether one may do something."""

    def __init__(self, folder: Path, *, account_id: str, region: str, clock: Callable[[], float]) -> None:
        self.account_id, self.region, self.clock = account_id, region, clock
        self.roles: dict[str, Role] = {}
        self.providers: dict[str, Provider] = {}
        folder = private_folder(folder)
        self._root: dict[str, str] = json.loads(keep_private(folder / "root_key.json", _new_root_key))
        self._db = sqlite3.connect(folder / "sessions.sqlite", isolation_level=None)
        (folder / "sessions.sqlite").chmod(0o600)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute(
            "create table if not exists sessions (access_key text primary key, secret text, token text, expires real, "
            "role text, arn text, user_id text)"
        )

    def close(self) -> None:
        """Closes the data base."""
        self._db.close()

    def root_keys(self) -> tuple[str, str]:
        """(access key, secret key) of the account's root: an outside writer, or a person at the command line."""
        return self._root["access_key"], self._root["secret"]

    def put_role(self, name: str, trust: str, max_session_s: int) -> str:
        """Declares a role; answers its ARN. ValueError for a trust policy that could not be enforced."""
        arn = f"arn:aws:iam::{self.account_id}:role/{name}"
        statements = parse(trust, owner=f"role {name}")
        old = self.roles.get(name)
        role_id = "AROA" + _stable_id(arn)
        self.roles[name] = Role(name, arn, role_id, statements, trust, max_session_s, old.policies if old else {})
        return arn

    def put_provider(self, arn: str, url: str, audiences: Iterable[str]) -> None:
        """Declares an OIDC provider."""
        self.providers[arn] = Provider(arn, url.removeprefix("https://"), frozenset(audiences))

    def role_of_arn(self, arn: str) -> Role | None:
        """The role with this ARN."""
        return next((role for role in self.roles.values() if role.arn == arn), None)

    def open_session(self, role: Role, name: str, lifetime_s: int) -> Session:
        """Makes and keeps temporary credentials for a role."""
        session = Session(
            access_key="ASIA" + "".join(secrets.choice(_UPPER) for _ in range(16)),
            secret=secrets.token_urlsafe(30),
            token=secrets.token_urlsafe(180),
            expires=self.clock() + lifetime_s,
            arn=f"arn:aws:sts::{self.account_id}:assumed-role/{role.name}/{name}",
            user_id=f"{role.role_id}:{name}",
        )
        row = (
            session.access_key,
            session.secret,
            session.token,
            session.expires,
            role.name,
            session.arn,
            session.user_id,
        )
        self._db.execute("insert into sessions values (?, ?, ?, ?, ?, ?, ?)", row)
        # Two days keep "expired" apart from "never existed" for every session a client may still hold.
        self._db.execute("delete from sessions where expires < ?", (self.clock() - 2 * 86_400,))
        return session

    def caller(self, request: web.BaseRequest, body: bytes, service: str) -> Caller | None:
        """Who signed `request` to `service` ("s3", "sqs", "sts"); None when nobody did; AwsError when the signature,
        key or session is not good.
        """
        signature = read_signature(request)
        if signature is None:
            return None
        here = {"region": self.region, "service": service}
        if signature.access_key == self._root["access_key"]:
            if signature.token is not None:
                raise _bad_token(service)
            check_signature(request, signature, self._root["secret"], body, self.clock(), **here)
            return Caller(f"arn:aws:iam::{self.account_id}:root", self.account_id, root=True)
        row = self._db.execute(
            "select secret, token, expires, role, arn, user_id from sessions where access_key = ?",
            (signature.access_key,),
        ).fetchone()
        if row is None:
            code = "InvalidAccessKeyId" if service == "s3" else "InvalidClientTokenId"
            raise AwsError(code, "The AWS Access Key Id you provided does not exist in our records.", 403)
        secret, token, expires, role_name, arn, user_id = row
        if not hmac.compare_digest((signature.token or "").encode(errors="surrogateescape"), token.encode()):
            raise _bad_token(service)
        check_signature(request, signature, secret, body, self.clock(), **here)
        if self.clock() >= expires:
            code, status = ("ExpiredToken", 400) if service == "s3" else ("ExpiredTokenException", 403)
            raise AwsError(code, "The security token included in the request is expired", status)
        return Caller(arn, user_id, role=self.roles.get(role_name))

    def allowed(
        self,
        caller: Caller | None,
        action: str,
        resource: str,
        resource_policy: list[Statement],
        context: Context | None = None,
    ) -> bool:
        """Whether a caller of this account (or nobody: None) may do `action` on `resource`, whose own policy is
        given.
        """
        context = {"aws:securetransport": "true", **(context or {})}
        names = {"*"}
        if caller is not None:
            names |= {caller.arn, caller.role.arn if caller.role else caller.arn}
            context["aws:principalarn"] = caller.role.arn if caller.role else caller.arn
            context["aws:principalaccount"] = self.account_id
            if caller.root:
                names.add(self.account_id)
        by_resource = decide([s for s in resource_policy if s.names("AWS", names)], action, resource, context)
        own = [s for policy in caller.role.policies.values() for s in policy] if caller and caller.role else []
        by_identity = "Allow" if caller and caller.root else decide(own, action, resource, context)
        return "Deny" not in {by_resource, by_identity} and "Allow" in {by_resource, by_identity}

    @staticmethod
    def service_allowed(service: str, action: str, resource: str, policy: list[Statement], context: Context) -> bool:
        """Whether a resource's policy lets an AWS service (s3.amazonaws.com) do something."""
        naming = [s for s in policy if s.names("Service", {service}) or s.names("AWS", {"*"})]
        return decide(naming, action, resource, context) == "Allow"


def _bad_token(service: str) -> AwsError:
    words = "The provided token is malformed or otherwise invalid."
    return AwsError("InvalidToken", words, 400) if service == "s3" else AwsError("InvalidClientTokenId", words, 403)


def _new_root_key() -> bytes:
    access_key = "AKIA" + "".join(secrets.choice(_UPPER) for _ in range(16))
    return json.dumps({"access_key": access_key, "secret": secrets.token_urlsafe(30)}).encode()


def _stable_id(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:12], "big")
    return "".join(_UPPER[(number >> (5 * i)) & 31] for i in range(17))
