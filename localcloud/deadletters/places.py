"""Which dead-letter places a running stack has: found in what it declares, opened as the operator."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from azure.storage.queue import QueueClient

from core.clients.blob import BlobContainer
from core.log_ingest.progress import MessageState, safe_name
from localcloud.control.client import Supervisor
from localcloud.deadletters.failed_place import FailedPlace
from localcloud.deadletters.holds import Holds
from localcloud.deadletters.place import DeadLetterError, Place
from localcloud.deadletters.sqs_place import SqsPlace
from localcloud.deadletters.storage_place import StoragePlace
from localcloud.engine.state import Record
from localcloud.host.poison_notes import read as read_notes
from localcloud.session.local import LocalStack
from localcloud.session.operator import OperatorCredential, operator
from localcloud.session.systems import SYSTEM_TYPE, namespaces
from localcloud.supervisor.shapes import PoisonMove, PoisonMoved

POISON: Final = "-poison"
SQS_QUEUE: Final = "aws:sqs/queue:Queue"
APP: Final = "azure-native:web:WebApp"
STORAGE_QUEUE: Final = "azure-native:storage:Queue"


@contextmanager
def places(stack: LocalStack, *, spread: bool = False) -> Iterator[list[Place]]:
    """Every place, opened; raises when the local cloud is down. `spread`: see bus_place.BusPlace."""
    with ExitStack() as opened:
        yield list(_Finder(stack, opened, spread=spread).places())


def only_apps(stack: LocalStack) -> dict[str, str]:
    """System → its app, of those that have exactly one."""
    records = _Records(stack.records())
    found: dict[str, list[str]] = defaultdict(list)
    for record in records.of_type(APP):
        found[records.system(record)].append(str(record.inputs["name"]))
    return {system: names[0] for system, names in found.items() if len(names) == 1}


class _Records:
    """What a stack declares."""

    def __init__(self, records: Mapping[str, Record]) -> None:
        self.all = records

    def of_type(self, type_: str) -> list[Record]:
        """In the order of their names."""
        return sorted((one for one in self.all.values() if one.type == type_), key=lambda one: one.urn)

    def system(self, record: Record) -> str:
        """The system that a record is below; empty for none."""
        above: Record | None = record
        while above is not None and above.type != SYSTEM_TYPE:
            above = self.all.get(above.parent)
        return above.name if above else ""


class _Finder:
    """One look at a stack."""

    def __init__(self, stack: LocalStack, opened: ExitStack, *, spread: bool) -> None:
        self._supervisor, self._opened, self._spread = stack.require(), opened, spread
        self._operator, self._http, self._identity = operator(self._supervisor)
        self._records, self._outputs = _Records(stack.records()), stack.outputs()
        self._holds, self._apps = stack.home / "dlq", stack.home / "apps"
        self._sqs = self._sqs_client()

    def places(self) -> Iterator[Place]:
        yield from self._dead_letter_queues()
        yield from self._failed_places()
        yield from self._poison_queues()
        yield from self._bus_places()

    def _dead_letter_queues(self) -> Iterator[Place]:
        found: dict[str, list[tuple[Record, int]]] = {}
        for record in self._records.of_type(SQS_QUEUE):
            if policy := record.inputs.get("redrivePolicy"):
                said = json.loads(policy)
                queue = str(said["deadLetterTargetArn"]).rsplit(":", 1)[-1]
                found.setdefault(queue, []).append((record, int(said["maxReceiveCount"])))
        for queue, sources in sorted(found.items()):
            system = self._records.system(sources[0][0])
            yield SqsPlace(
                self._sqs, url=self._sqs.get_queue_url(QueueName=queue)["QueueUrl"], system=system,
                sources=[str(record.outputs["arn"]) for record, _ in sources],
                receives=max(receives for _, receives in sources),
                holds=self._file(queue), why=_Notes(self._progress(system)).of,
            )  # fmt: skip

    def _failed_places(self) -> Iterator[Place]:
        for system in sorted({self._records.system(record) for record in self._records.all.values()} - {""}):
            outputs = self._outputs_of(system)
            if outputs.get("failedUrl") and outputs.get("queueUrl"):
                container = self._container(outputs["failedUrl"])
                sender = _Sender(self._sqs, outputs["queueUrl"])
                yield FailedPlace(f"{system}'s failed", system, container, sender)

    def _poison_queues(self) -> Iterator[Place]:
        for record in self._records.of_type(STORAGE_QUEUE):
            account, poison = str(record.inputs["accountName"]), str(record.inputs["queueName"])
            if poison.endswith(POISON):
                app = self._app_of(account, poison.removesuffix(POISON))
                client = QueueClient(
                    f"{self._operator.endpoints['queue']}/{account}", poison,
                    credential=OperatorCredential(self._identity),
                    connection_verify=self._operator.endpoints["ca_file"], retry_total=3,
                )  # fmt: skip
                yield StoragePlace(
                    client, _Mover(self._supervisor), account=account, queue=poison.removesuffix(POISON),
                    system=self._records.system(record), holds=self._file(f"{account}-{poison}"),
                    app=app, why=partial(read_notes, self._apps / app / "host") if app else dict,
                )  # fmt: skip

    def _bus_places(self) -> Iterator[Place]:
        for name, host in namespaces(self._records.all):
            from localcloud.deadletters.bus_journal import BusJournal
            from localcloud.deadletters.bus_place import places_of  # 0.2 s, for those who have a namespace
            from localcloud.session.bus_access import BusAccess, Entity

            access = BusAccess(host, OperatorCredential(self._identity), self._operator.endpoints["ca_file"])
            self._opened.callback(access.close)
            journal = BusJournal(Path(self._holds) / f"{name}.sqlite")
            self._opened.callback(journal.close)

            def owner(entity: Entity, name: str = name, host: str = host) -> tuple[str, str]:
                return self._system_of(name, entity.name), self._app_of_bus(entity.name, host)

            yield from places_of(access, journal, name=name, spread=self._spread, owner=owner)

    def _system_of(self, namespace: str, entity: str) -> str:
        for kind in ("Queue", "Subscription"):
            for record in self._records.of_type(f"azure-native:servicebus:{kind}"):
                parts = [str(record.inputs.get(part, "")) for part in ("queueName", "topicName", "subscriptionName")]
                if record.inputs["namespaceName"] == namespace and "/".join(filter(None, parts)) == entity:
                    return self._records.system(record)
        return ""

    def _app_of_bus(self, entity: str, host: str) -> str:
        """The app whose step it triggers, by the setting of its connection; empty for none."""
        return self._app_with(
            f"{_prefix(entity.replace('/', '-'))}__fullyQualifiedNamespace", lambda text: text == host
        )

    def _app_of(self, account: str, queue: str) -> str:
        """The app whose step the queue triggers, by the settings of its connection; empty for none."""
        return self._app_with(f"{_prefix(queue)}__queueServiceUri", lambda text: account in re.split(r"[/.]", text))

    def _app_with(self, setting: str, fits: Callable[[str], bool]) -> str:
        for record in self._records.of_type(APP):
            for one in (record.inputs.get("siteConfig") or {}).get("appSettings") or []:
                if one["name"] == setting and fits(str(one.get("value"))):
                    return str(record.inputs["name"])
        return ""

    def _outputs_of(self, system: str) -> dict[str, Any]:
        first, *others = system.split("_")
        return self._outputs.get(first + "".join(word.capitalize() for word in others)) or {}

    def _progress(self, system: str) -> BlobContainer | None:
        url = self._outputs_of(system).get("progressUrl")
        return self._container(url) if url else None

    def _container(self, url: str) -> BlobContainer:
        return BlobContainer(self._http, self._identity, url=url)

    def _file(self, name: str) -> Holds:
        return Holds(Path(self._holds) / f"{name}.held")

    def _sqs_client(self) -> Any:
        import boto3  # 0.3 s

        keys, endpoints = self._operator.aws, self._operator.endpoints
        return boto3.client(
            "sqs", endpoint_url=endpoints["sqs"], region_name=keys.region, verify=endpoints["ca_file"],
            aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret_key,
        )  # fmt: skip


class _Notes:
    """What a system's worker noted of messages that it could not settle (log_ingest: blobs by message id)."""

    def __init__(self, container: BlobContainer | None) -> None:
        self._container = container

    def of(self, ids: Sequence[str]) -> dict[str, str]:
        """Message id → the last failure, for those that have a note."""
        if self._container is None or not ids:
            return {}
        noted, found = set(self._container.names("messages/")), {}
        for name in ids:
            blob = f"messages/{safe_name(name)}.json"
            kept = self._container.get(blob) if blob in noted else None
            if kept:
                found[name] = msgspec.json.decode(kept.body, type=MessageState).last
        return found


class _Sender:
    """The queue that a worker listens on."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url

    def send(self, bodies: Sequence[str]) -> None:
        """At most ten messages; raises when one was not taken."""
        entries = [{"Id": str(at), "MessageBody": body} for at, body in enumerate(bodies)]
        failed = self._client.send_message_batch(QueueUrl=self._url, Entries=entries).get("Failed")
        if failed:
            raise DeadLetterError(f"queue {self._url}: did not take a message: {failed[0]['Message']}")


class _Mover:
    """The supervisor's moves."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def start(self, account: str, queue: str, ids: Sequence[str], rate: float) -> None:
        """See storage_place.Mover."""
        wanted = PoisonMove(account=account, queue=queue, ids=list(ids), rate=rate)
        self._supervisor.call("POST", "/poison/moves", wanted, object)

    def moved(self) -> tuple[int, bool]:
        """See storage_place.Mover."""
        state = self._supervisor.call("GET", "/poison/moves", None, PoisonMoved)
        if state.failure:
            raise DeadLetterError(f"poison messages could not all be moved: {state.failure}")
        return state.moved, state.running

    def stop(self) -> None:
        """See storage_place.Mover."""
        self._supervisor.call("POST", "/poison/moves/stop", None, object)


def _prefix(name: str) -> str:
    """components.link.setting_prefix, without Pulumi."""
    return name.upper().replace("-", "_")
