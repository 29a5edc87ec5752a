"""alma_analytics by hand: report jobs, runs, and what came of every record, in the running stack's own database.

As the deployer, who made the database and its tables; messages go out as the operator. In the cloud a person in the
database role `alma_operator`, with the right to send to the queues, takes their places.
"""

import gzip
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from core.alma_analytics import jobs, names, reading, resume, starting
from core.clients import postgres
from core.clients.blob import BlobContainer
from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.clients.postgres import Postgres
from core.clients.storage_queue import StorageQueue
from core.jobs.outbox import Outbox, Sender
from core.messages.alma_analytics import Side
from localcloud.engine.state import Record
from localcloud.session.local import LocalCloudError, LocalStack
from localcloud.supervisor.shapes import Access, Operator

ADMINISTRATOR: Final = "azure-native:dbforpostgresql:AdministratorsMicrosoftEntra"
STORAGE_QUEUE: Final = "azure-native:storage:Queue"
PAGES: Final = "azure-native:storage:BlobContainer"


class WrongJobsError(LocalCloudError):
    """A file of report jobs that says what cannot be: every fault of every row."""

    def __init__(self, file: str, wrong: list[jobs.Wrong]) -> None:
        """`wrong`: from `validate`."""
        lines = "".join(f"\n  {one}" for one in wrong)
        super().__init__(f"{file}: {len(wrong)} fault{'' if len(wrong) == 1 else 's'}, nothing was applied:{lines}")
        self.wrong = wrong


class Applied(msgspec.Struct, kw_only=True):
    """`./millrace alma jobs apply --json`: names by what became of them."""

    created: list[str]
    changed: list[str]
    unchanged: list[str]


class Removed(msgspec.Struct, kw_only=True):
    """`./millrace alma jobs remove --json`: names."""

    removed: list[str]


class Begun(msgspec.Struct, kw_only=True):
    """`./millrace alma jobs run --json`, `retry --json`."""

    run_id: str
    messages: list[str]
    """Queue and what is asked for."""


class StoredPage(msgspec.Struct, kw_only=True):
    """A page's blob: one list a column."""

    columns: list[str]
    values: list[list[str | None]]

    def rows(self) -> list[list[str | None]]:
        """The same by row."""
        return [list(row) for row in zip(*self.values, strict=True)]


def read_jobs(path: Path) -> list[object]:
    """The rows of a YAML or JSON file: a list of jobs, or one job. Raises LocalCloudError."""
    try:
        read = yaml.load(path.read_text("utf-8"), _Strict)  # noqa: S506 - a SafeLoader that refuses doubled keys
    except OSError as error:
        raise LocalCloudError(f"{path}: must be a file that can be read, got: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise LocalCloudError(f"{path}: must be YAML or JSON, got: {' '.join(str(error).split())}") from error
    if isinstance(read, dict):
        return [read]
    if not isinstance(read, list) or not read:
        raise LocalCloudError(f"{path}: must be a list of report jobs, or one job, got {type(read).__name__}")
    return read


class _Strict(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """A key that stands twice in one mapping is refused: the first one would be forgotten in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As SafeLoader does."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


class Alma:
    """The system of one running stack."""

    def __init__(self, database: Any, outbox: Outbox, page: Callable[[str], bytes | None]) -> None:
        """`page`: a page's blob by its name."""
        self._database, self._outbox, self._page = database, outbox, page

    def jobs(self) -> list[reading.JobLine]:
        """All report jobs."""
        with self._database.transaction() as tx:
            return reading.jobs(tx)

    def apply(self, path: Path) -> Applied:
        """Creates and changes jobs as the file says: all of them, or none when one is wrong."""
        return self.put(read_jobs(path), str(path))

    def put(self, rows: list[object], source: str) -> Applied:
        """The same with rows that were read already; `source`: where, for what is wrong with them."""
        if wrong := jobs.validate(rows):
            raise WrongJobsError(source, wrong)
        done: dict[str, list[str]] = {"created": [], "changed": [], "unchanged": []}
        with self._database.transaction() as tx:
            for job in jobs.jobs_of(rows):
                done[jobs.apply(tx, job, datetime.now(UTC))].append(job.name)
        return msgspec.convert(done, Applied)

    def remove(self, wanted: Sequence[str]) -> Removed:
        """Removes jobs, all of them or none; their runs, and what came of them, stay."""
        with self._database.transaction() as tx:
            for name in sorted(set(wanted)):  # in one order: two that remove the same wait for each other
                if going := jobs.under_way(tx, name):
                    raise LocalCloudError(
                        f"job {name!r}: must have no run under way, {going}; wait until it is over, nothing was removed"
                    )
                if not jobs.remove(tx, name):
                    raise _unknown(name)
        return Removed(removed=list(dict.fromkeys(wanted)))

    def run(self, name: str, *, dry_run: bool) -> Begun:
        """Begins a run of the job now."""
        now = datetime.now(UTC)
        run_id = names.manual_run(name, now)
        with self._database.transaction() as tx:
            job = jobs.find(tx, name)
            if job is None:
                raise _unknown(name)
            if going := jobs.under_way(tx, name):
                raise LocalCloudError(
                    f"job {name!r}: must have no run under way, {going}; wait until it is over, or have it go on: "
                    f"./millrace alma retry {going.run_id}"
                )
            if dry_run:
                job = msgspec.structs.replace(job, dry_run=True)
            begun = starting.begin(
                tx, self._outbox, job, run_id=run_id, slot=now, trigger=starting.PERSON, traceparent=_trace()
            )
        if not begun:
            raise LocalCloudError(f"run {run_id}: was begun in this very second; see ./millrace alma show {run_id}")
        self._outbox.flush(run_id)
        return Begun(run_id=run_id, messages=[f"{names.API_FETCH}: {side} 1" for side in names.sides(job)])

    def runs(self, *, job: str | None, state: str | None, limit: int) -> list[reading.RunLine]:
        """The latest runs."""
        with self._database.transaction() as tx:
            return reading.runs(tx, job=job, state=state, limit=limit)

    def show(self, run_id: str, *, which: reading.Which, limit: int | None = None) -> reading.Whole:
        """Everything of one run."""
        with self._database.transaction() as tx:
            found = reading.whole(tx, run_id, which=which, limit=limit)
        if found is None:
            raise LocalCloudError(f"run {run_id!r}: must be one that was started; see ./millrace alma runs")
        return found

    def page(self, run_id: str, number: int, side: Side) -> StoredPage:
        """A fetched page's rows."""
        listed = [page for page in self.show(run_id, which="all", limit=0).pages if page.side == side]
        for page in listed:
            if page.page == number:
                body = self._page(page.blob)
                if body is None:
                    raise LocalCloudError(f"run {run_id}, page {number}: its blob was cleaned up")
                return msgspec.json.decode(gzip.decompress(body), type=StoredPage)
        raise LocalCloudError(f"run {run_id}: page must be one of its {len(listed)} of side {side}, got {number}")

    def retry(self, run_id: str) -> Begun:
        """Has a run that failed, is parked or stands still go on where it was."""
        try:
            with self._database.transaction() as tx:
                plan = resume.resume(tx, self._outbox, run_id, traceparent=_trace())
        except resume.NotResumable as error:
            raise LocalCloudError(str(error)) from error
        self._outbox.flush(run_id)
        return Begun(run_id=run_id, messages=[f"{again.queue}: {again.name}" for again in plan.messages])


@contextmanager
def alma(stack: LocalStack) -> Iterator[Alma]:
    """The running stack's alma_analytics. Raises LocalCloudError when it is not deployed here."""
    supervisor = stack.require()
    outputs = stack.outputs().get("almaAnalytics")
    if not outputs:
        raise LocalCloudError("alma: alma_analytics must be deployed; run ./millrace up --system alma_analytics")
    records = stack.records()
    access = supervisor.call("GET", "/access", None, Access)
    operator = supervisor.call("GET", "/operator", None, Operator)
    http = Http(ca_file=access.ca_file)
    deployer = _identity(http, access)
    database = Postgres(
        partial(deployer.token, postgres.AUDIENCE), endpoint=outputs["databaseEndpoint"],
        name=outputs["databaseName"], user=_administrator(records), ca_file=access.ca_file, connections=2,
    )  # fmt: skip
    person = _identity(http, operator)
    try:
        yield Alma(
            database,
            Outbox(database, _queues(records, operator, person, http)),
            _pages(records, operator, person, http),
        )
    finally:
        database.close()


def _identity(http: Http, who: Access | Operator) -> ManagedIdentity:
    return ManagedIdentity(http, endpoint=who.identity_endpoint, header=who.identity_header, client_id=who.client_id)


def _administrator(records: dict[str, Record]) -> str:
    """The deployer's role in the database."""
    for record in records.values():
        if record.type == ADMINISTRATOR:
            return str(record.inputs["principalName"])
    raise LocalCloudError("alma: the database has no administrator yet; run ./millrace up --system alma_analytics")


def _queues(records: dict[str, Record], operator: Operator, identity: ManagedIdentity, http: Http) -> dict[str, Sender]:
    found: dict[str, Sender] = {}
    for record in records.values():
        name = record.inputs.get("queueName")
        if record.type == STORAGE_QUEUE and name in names.QUEUES:
            endpoint = f"{operator.endpoints['queue']}/{record.inputs['accountName']}"
            found[str(name)] = StorageQueue(
                identity, endpoint=endpoint, name=str(name), ca_file=operator.endpoints["ca_file"], http=http
            )
    return found


def _pages(
    records: dict[str, Record], operator: Operator, identity: ManagedIdentity, http: Http
) -> Callable[[str], bytes | None]:
    def read(name: str) -> bytes | None:
        for record in records.values():
            if record.type == PAGES and record.inputs.get("containerName") == "pages":
                url = f"{operator.endpoints['blob']}/{record.inputs['accountName']}/pages"
                kept = BlobContainer(http, identity, url=url).get(name)
                return None if kept is None else kept.body
        return None

    return read


def _unknown(job: str) -> LocalCloudError:
    return LocalCloudError(f"job {job!r}: must be one that was applied; see ./millrace alma jobs list")


def _trace() -> str:
    """A trace of its own for what a person begins."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
