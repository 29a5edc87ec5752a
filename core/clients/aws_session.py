"""Temporary AWS credentials for the worker's own identity; no AWS secret exists anywhere.

Managed identity token → AssumeRoleWithWebIdentity → credentials that botocore renews by itself before they
expire (from 15 minutes before on, in the middle of a run too), with a new token each time.
boto3 on a botocore session of our own, as boto3 itself has no way to take renewable credentials.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any, Protocol

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from core.clients.faults import Denied, Fault, Gone, Refused, Transient
from core.clients.signature import signed

_EXPIRED = frozenset({
    "ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidClientTokenId", "InvalidAccessKeyId",
    "RequestExpired", "TokenRefreshRequired", "UnrecognizedClientException", "SignatureDoesNotMatch",
    "RequestTimeTooSkewed",
})  # fmt: skip
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AccountProblem", "403", "Forbidden"}
)
_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound", "NoSuchUpload", "MethodNotAllowed", "405"})
_BUSY = frozenset(
    {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "RequestThrottled", "IDPCommunicationError"}
)

SDK_ERRORS = (ClientError, BotoCoreError, HTTPError, ResponseParserError)
"""What a call of boto3 may raise; the last one, for an answer that cannot be read, is none of botocore's own errors."""

UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
"""What taking an answer apart raises when it has not the promised shape."""


class Identity(Protocol):
    """Where a token comes from."""

    def token(self, audience: str) -> str:
        """A token for `audience`."""


class AwsSession:
    """One session for one role; clients share its credentials and its loaded models."""

    def __init__(
        self, identity: Identity, *, role_arn: str, audience: str, region: str, name: str, ca_file: str | None = None
    ) -> None:
        """`audience`: what the role's trust asks for; `name`: the session's name in CloudTrail (2–64 characters)."""
        self._identity = identity
        self._role_arn = role_arn
        self._audience = audience
        self._region = region
        self._name = name
        self.verify: str | bool = ca_file or True
        """The file of trusted roots; True: botocore's own."""
        session = botocore.session.Session()
        self._credentials = _WorkerCredentials(self._assume)
        # botocore has no public setter for refreshable credentials: everybody who needs them sets this field
        session._credentials = self._credentials  # type: ignore[attr-defined]  # noqa: SLF001
        self._session: Any = boto3.Session(botocore_session=session)
        self._sts: Any = None
        self._lock = threading.Lock()

    def client(self, service: str, *, connections: int, read_timeout_s: float = 60) -> Any:
        """A client of `service` (`s3`, `sqs`)."""
        config = Config(
            max_pool_connections=connections,
            connect_timeout=5,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": 4},
            tcp_keepalive=True,
            response_checksum_validation="when_required",
            request_checksum_calculation="when_required",
        )
        return self._session.client(
            service,
            region_name=self._region,
            verify=self.verify,
            config=config,
        )

    def headers(self, service: str, method: str, url: str, body: bytes = b"") -> dict[str, str]:
        """The headers that vouch for a request. Raises Transient or Denied when there are no credentials."""
        keys = self._credentials.get_frozen_credentials()
        return signed(keys, method, url, service=service, region=self._region, now=datetime.now(UTC), body=body)

    def renew(self) -> None:
        """The next request gets new credentials: AWS called the present ones expired or invalid."""
        self._credentials.stale = True

    def _assume(self) -> dict[str, str]:
        """New credentials, in the form botocore's refresh wants. Raises Transient or Denied."""
        with self._lock:
            if self._sts is None:
                config = Config(signature_version=UNSIGNED, connect_timeout=5, read_timeout=20,
                                retries={"mode": "standard", "total_max_attempts": 4})  # fmt: skip
                self._sts = self._session.client("sts", region_name=self._region, verify=self.verify, config=config)
        try:
            got = self._sts.assume_role_with_web_identity(
                RoleArn=self._role_arn,
                RoleSessionName=self._name,
                WebIdentityToken=self._identity.token(self._audience),
                DurationSeconds=3600,
            )["Credentials"]
            return {
                "access_key": got["AccessKeyId"],
                "secret_key": got["SecretAccessKey"],
                "token": got["SessionToken"],
                "expiry_time": got["Expiration"].isoformat(),
            }
        except SDK_ERRORS as error:
            raise Transient(f"assume {self._role_arn}: {error}") from error
        except UNREADABLE as error:
            raise Transient(f"assume {self._role_arn}: unreadable answer ({type(error).__name__}: {error})") from error


class _WorkerCredentials(DeferredRefreshableCredentials):
    """Renewed before expiry, and when AWS refused them earlier than that."""

    def __init__(self, assume: Any) -> None:
        self.stale = False
        super().__init__(refresh_using=self._renewed, method="assume-role-with-web-identity")
        self._assume_role = assume

    def _renewed(self) -> dict[str, str]:
        fresh: dict[str, str] = self._assume_role()
        self.stale = False
        return fresh

    def refresh_needed(self, refresh_in: Any = None) -> bool:
        return self.stale or super().refresh_needed(refresh_in)


def fault_of(error: Exception, what: str, session: AwsSession) -> Fault:
    """Botocore's exception as one of ours."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        text = f"{what}: {status} {code}"
        if code in _EXPIRED:
            session.renew()
            return Transient(text)
        if code in _DENIED:
            return Denied(text)
        if code in _GONE:
            return Gone(text)
        if status >= 500 or status in {408, 429} or code in _BUSY:
            return Transient(text)
        return Refused(text)
    return error if isinstance(error, Fault) else Transient(f"{what}: {type(error).__name__}")
