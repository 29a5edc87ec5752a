"""From app settings to what the steps work with: made once per process, contacts nobody yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import msgspec

from core.alma_analytics.work import Work
from core.clients import postgres
from core.clients.blob import BlobContainer
from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.clients.postgres import Postgres
from core.clients.storage_queue import StorageQueue
from core.jobs.outbox import Outbox
from core.runtime.settings import ca_file, identity_endpoint

_ENDPOINT, _NAME = "_queue_endpoint", "_queue_name"

CONNECTIONS = 12
"""To the database, an instance: a message holds one for its turn and now and then a second one, seven are in hand."""


class BaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every step is told."""

    azure_client_id: str
    database_endpoint: str
    database_name: str
    database_user: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """The clients of every step."""

    http: Http
    identity: ManagedIdentity
    database: Postgres
    outbox: Outbox

    def work(self, traceparent: str) -> Work:
        """For one message."""
        return Work(database=self.database, outbox=self.outbox, traceparent=traceparent)

    def container(self, url: str) -> BlobContainer:
        """One of the system's blob containers."""
        return BlobContainer(self.http, self.identity, url=url)


def connect(settings: BaseSettings) -> Base:
    """Every queue that `settings` has an address of (`…_queue_endpoint`, `…_queue_name`) is one to send to."""
    endpoint, header = identity_endpoint()
    http = Http(ca_file=ca_file())
    identity = ManagedIdentity(http, endpoint=endpoint, header=header, client_id=settings.azure_client_id)
    database = Postgres(
        partial(identity.token, postgres.AUDIENCE),
        endpoint=settings.database_endpoint,
        name=settings.database_name,
        user=settings.database_user,
        ca_file=ca_file(),
        connections=CONNECTIONS,
    )
    queues = {}
    for field in settings.__struct_fields__:
        if field.endswith(_NAME):
            name = getattr(settings, field)
            address = getattr(settings, field.removesuffix(_NAME) + _ENDPOINT)
            queues[name] = StorageQueue(identity, endpoint=address, name=name, ca_file=ca_file(), http=http)
    return Base(http=http, identity=identity, database=database, outbox=Outbox(database, queues))
