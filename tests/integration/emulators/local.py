"""A running LocalCloud for tests: its loop in a thread, so that the synchronous SDKs can be used as handlers use
them.
"""

import time
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import boto3
from azure.core.credentials import AccessToken
from botocore.config import Config

from localcloud.emulators.cloud import LocalCloud
from tests.loop_thread import LoopThread

T = TypeVar("T")
TENANT = "11111111-2222-3333-4444-555555555555"
SUBSCRIPTION = "99999999-2222-3333-4444-555555555555"
AWS_ACCOUNT = "123456789012"
REGION = "eu-central-1"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
AWS_AUDIENCE = "api://millrace-aws"
BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
QUEUE_CONTRIBUTOR = "974c5e8b-45b9-4653-ba55-5f855dd0fb88"
QUEUE_SENDER = "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a"
METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"


class Clock:
    """The machine's clock, which a test may move."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


class Local:
    """A LocalCloud, started, with shortcuts for tests."""

    def __init__(self, home: Path, tenant_id: str = TENANT) -> None:
        self.clock = Clock()
        self._loop = LoopThread("local cloud")

        async def make() -> LocalCloud:
            return LocalCloud(
                home,
                tenant_id=tenant_id,
                subscription_id=SUBSCRIPTION,
                aws_account=AWS_ACCOUNT,
                region=REGION,
                clock=self.clock,
            )

        self.cloud = self.run(make())
        self.run(self.cloud.start())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the cloud's loop."""
        return self._loop.run(work)

    def do(self, work: Callable[[], T]) -> T:
        """Calls a synchronous method of the cloud on its loop."""
        return self._loop.do(work)

    def stop(self) -> None:
        self.run(self.cloud.stop())
        self._loop.close()

    @property
    def ca(self) -> str:
        return self.cloud.endpoints["ca_file"]

    def identity(self, name: str) -> str:
        """A new managed identity; answers its principal id (also its client id's seed)."""
        principal = str(uuid.uuid4())
        self.do(lambda: self.cloud.identity.put(principal, client_of(principal), name))
        return principal

    def assign(self, principal: str, role: str, scope: str) -> None:
        self.do(lambda: self.cloud.access.assign(str(uuid.uuid4()), principal, role, scope))

    def aws(self, service: str, access_key: str, secret: str, token: str | None = None) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            region_name=REGION,
            endpoint_url=self.cloud.endpoints[service],
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            verify=self.ca,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def vendor(self, service: str) -> Any:
        return self.aws(service, *self.do(self.cloud.aws.vendor_keys))


def client_of(principal: str) -> str:
    return str(uuid.uuid5(uuid.UUID(principal), "client"))


class TokenOf:
    """A credential that gives tokens of one principal, straight from the tenant."""

    def __init__(self, local: Local, principal: str, audience: str | None = None) -> None:
        self._local, self._principal, self._audience = local, principal, audience

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        audience = self._audience or scopes[0].removesuffix("/.default")
        token = self._local.do(lambda: self._local.cloud.identity.token(self._principal, audience))
        return AccessToken(token, int(time.time()) + 3600)


class FixedToken:
    """A credential that always gives the same text."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)
