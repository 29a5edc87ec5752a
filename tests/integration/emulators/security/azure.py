"""The Azure side as a caller sees it: which operations each service has, where, and which verb opens which of them.

`ALLOWED` is written by hand, from Microsoft's list of permissions: the emulators' tables are what is tested against it.
A verb of `components/roles.py`, a site of the door or an operation that is missing here fails a test.
"""

import base64
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from components.roles import Verb
from localcloud.emulators import storage_needs
from localcloud.emulators.logs import AUDIENCE as MONITOR
from localcloud.emulators.refusals import STORAGE, VAULT
from localcloud.emulators.vault import ACTIONS
from localcloud.outside.services import OutsideServices
from localcloud.supervisor.apps import Apps
from localcloud.supervisor.logbook import Logbook
from localcloud.supervisor.process import MANAGEMENT
from localcloud.supervisor.sites import Sites
from tests.integration.emulators.local import GROUP, Local

ACCOUNT: Final = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stsecurity"
WORKSPACE: Final = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log"
COLUMNS: Final = [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Name", "type": "string"}]

_READ_BLOBS: Final = {
    *("ListBlobs", "GetBlob", "GetBlobProperties", "GetBlobMetadata", "GetBlockList", "GetPageRanges"),
    *("QueryBlobContents", "GetContainerProperties", "GetContainerMetadata"),
}
_WRITE_BLOBS: Final = {
    *_READ_BLOBS,
    *("PutBlob", "DeleteBlob", "AppendBlock", "SetBlobMetadata", "SetBlobProperties", "LeaseBlob", "SnapshotBlob"),
    *("PutBlock", "PutBlockList", "PutPage", "SetBlobTier", "UndeleteBlob", "SetBlobExpiry", "SealBlob"),
    *("CreateContainer", "SetContainerMetadata", "LeaseContainer", "DeleteContainer"),
}
ALLOWED: Final[dict[Verb, dict[str, set[str]]]] = {
    "blob.read": {"blob": _READ_BLOBS},
    "blob.write": {"blob": _WRITE_BLOBS},
    "blob.own": {
        "blob": {
            *_WRITE_BLOBS,
            *("ListContainers", "GetBlobTags", "SetBlobTags"),
            *("FindBlobsByTags", "FindBlobsByTagsInContainer"),
        }
    },
    "queue.send": {"queue": {"PutMessage"}},
    # Azure's role for receiving can send as well (messages/write): the smaller Message Processor lacks UpdateMessage.
    "queue.receive": {
        "queue": {
            *("GetMessages", "PeekMessages", "ClearMessages", "DeleteMessage", "UpdateMessage", "PutMessage"),
            *("CreateQueue", "DeleteQueue", "GetQueueMetadata", "SetQueueMetadata"),
        }
    },
    "secret.read": {"vault": {"GetSecret", "ListVersions"}},
    "logs.write": {"logs": {"Upload"}},
    "table.write": {},
    "telemetry.write": {},
    "bus.send": {},
    "bus.receive": {},
    "bus.manage": {},
    "bus.count": {},
}
NOT_HTTP: Final = ("bus.send", "bus.receive", "bus.manage", "bus.count")
"""Verbs on Service Bus, which has a port of its own: test_bus_callers.py."""
NOT_SERVED: Final = {
    "table.write": "table",
    "telemetry.write": "applicationinsights",
    **dict.fromkeys(NOT_HTTP, "servicebus"),
}
"""Verbs on services that are no sites of the door: they are not in the local cloud, or have a port of their own."""
AUDIENCES: Final = {
    "blob": STORAGE,
    "queue": STORAGE,
    "vault": VAULT,
    "logs": MONITOR,
    "management": MANAGEMENT,
    "scm": MANAGEMENT,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One operation as a request."""

    operation: str
    method: str
    base: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    restore: Callable[[], None] | None = None
    """Makes good what the operation takes away when it succeeds."""


@dataclass
class Place:
    """Something a verb is granted on, with the same thing next door. `asks` are its service's operations on `name`."""

    service: str
    scope: str
    asks: list[Ask] = field(default_factory=list)


class Azure:
    """Declares two of everything in a running local cloud and mounts the deployment's doors beside it."""

    def __init__(self, local: Local) -> None:
        self.local = local
        cloud = local.cloud
        local.run(cloud.storage.put_account(ACCOUNT, "stsecurity"))
        local.do(lambda: cloud.logs.put_workspace(WORKSPACE, "customer", "log"))
        local.do(lambda: cloud.logs.put_table(WORKSPACE, "Events_CL", COLUMNS))
        home = Path(tempfile.mkdtemp(dir=Path(local.ca).parents[2]))
        apps = Apps(home, cloud, Logbook(home))
        self.sites = Sites(apps, cloud)
        local.run(cloud.mount("management", self.sites.management(), MANAGEMENT))
        local.run(cloud.mount("scm", self.sites.scm(), MANAGEMENT))
        self.outside = OutsideServices(home / "outside", cloud)
        local.run(self.outside.start())

    def place(self, service: str) -> Place:
        """A fresh one, with everything in it that its operations look for."""
        return getattr(self, f"_{service}")()  # type: ignore[no-any-return]

    def _blob(self) -> Place:
        name = f"c{uuid.uuid4().hex[:12]}"
        put = self._put_storage("container", name)
        place = Place("blob", f"{ACCOUNT}/blobServices/default/containers/{name}")
        place.asks += self._storage("blob", name, put)
        return place

    def _queue(self) -> Place:
        name = f"q{uuid.uuid4().hex[:12]}"
        put = self._put_storage("queue", name)
        place = Place("queue", f"{ACCOUNT}/queueServices/default/queues/{name}")
        place.asks += self._storage("queue", name, put)
        return place

    def _put_storage(self, kind: str, name: str) -> Callable[[], None]:
        storage = self.local.cloud.storage
        make = storage.put_container if kind == "container" else storage.put_queue

        def put() -> None:
            self.local.run(make("", "stsecurity", name))

        put()
        return put

    def _storage(self, service: str, name: str, put: Callable[[], None]) -> Iterator[Ask]:
        paths = {"service": "/stsecurity", "container": f"/stsecurity/{name}", "queue": f"/stsecurity/{name}"}
        paths |= {"blob": f"/stsecurity/{name}/b", "messages": f"/stsecurity/{name}/messages"}
        paths["message"] = f"/stsecurity/{name}/messages/{uuid.uuid4()}"
        base = self.local.cloud.endpoints[service]
        for one in storage_needs.OPERATIONS[service]:
            query = {key: value for key, value in (("restype", one.restype), ("comp", one.comp)) if value}
            query |= {"peekonly": "true"} if one.peek else {}
            query |= {"popreceipt": "AAAA", "visibilitytimeout": "0"} if one.level == "message" else {}
            target = paths[one.level] + (f"?{urlencode(query)}" if query else "")
            headers: tuple[tuple[str, str], ...] = (("x-ms-version", "2021-12-02"),)
            body = None
            if one.name == "PutBlob":
                headers, body = (*headers, ("x-ms-blob-type", "BlockBlob")), b"x"
            if one.name == "PutMessage":
                text = base64.b64encode(b"m").decode()
                body = f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>".encode()
            restore = put if one.name in {"DeleteContainer", "DeleteQueue"} else None
            for method in one.methods:
                yield Ask(one.name, method, base, target, headers, body, restore)

    def _vault(self) -> Place:
        number = uuid.uuid4().hex[:8]
        vault_id = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv{number}"
        uri = self.local.run(self.local.cloud.vault.put_vault(vault_id, f"kv{number}"))
        self.local.do(lambda: self.local.cloud.vault.set_secret(f"kv{number}", "one", "1"))
        place = Place("vault", f"{vault_id}/secrets/one")
        requests = {
            "SetSecret": ("PUT", "/secrets/one", b'{"value": "2"}'),
            "GetSecret": ("GET", "/secrets/one", None),
            "ListSecrets": ("GET", "/secrets", None),
            "ListVersions": ("GET", "/secrets/one/versions", None),
            "DeleteSecret": ("DELETE", "/secrets/one", None),
        }
        for operation in ACTIONS:
            method, path, body = requests[operation]
            place.asks.append(Ask(operation, method, uri.rstrip("/"), f"{path}?api-version=7.4", (), body))
        return place

    def _logs(self) -> Place:
        number = uuid.uuid4().hex[:8]
        rule = f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules/dcr{number}"
        flows = [{"streams": ["Custom-Events_CL"], "destinations": ["log"]}]
        target = {"logAnalytics": [{"name": "log", "workspaceResourceId": WORKSPACE}]}
        streams = {"Custom-Events_CL": {"columns": COLUMNS}}
        self.local.do(lambda: self.local.cloud.logs.put_rule(rule, f"dcr-{number}", streams, flows, target))
        path = f"/dataCollectionRules/dcr-{number}/streams/Custom-Events_CL?api-version=2023-01-01"
        ask = Ask("Upload", "POST", self.local.cloud.endpoints["logs"], path, (), b'[{"Name": "x"}]')
        return Place("logs", rule, [ask])

    def _management(self) -> Place:
        site = f"{GROUP}/providers/Microsoft.Web/sites/none"
        ask = Ask("Sync", "POST", self.local.cloud.endpoints["management"], f"{site}/syncfunctiontriggers")
        return Place("management", site, [ask])

    def _scm(self) -> Place:
        base = self.local.cloud.endpoints["scm"]
        asks = [
            Ask("Publish", "POST", base, "/none/api/publish?type=zip", (), b"PK"),
            Ask("Deployment", "GET", base, "/none/api/deployments/1"),
        ]
        return Place("scm", f"{GROUP}/providers/Microsoft.Web/sites/none", asks)
