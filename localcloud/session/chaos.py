"""Campaigns: one system on a local cloud of its own, run after run under seeded faults, each compared with the truth.

The cloud lives in a folder of its own and is gone afterwards; no other stack's data is touched. Its clock is real
but for one thing: once no handler runs, visibility timeouts end at once instead of after their minutes.
"""

import gzip
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from core.clients.blob import AUDIENCE, BlobContainer
from core.clients.http import Http
from localcloud.faults.fault import Schedule
from localcloud.faults.injector import FaultReport
from localcloud.host.spec import InvocationResult
from localcloud.outside import log_ingest_truth as truth
from localcloud.session.chaos_report import CampaignReport, RunReport, added_up
from localcloud.session.feeding import log_bucket
from localcloud.session.local import LocalCloudError, LocalStack
from localcloud.session.processes import alive
from localcloud.session.running import Working, bring_up
from localcloud.supervisor.faults import Turn
from localcloud.supervisor.shapes import TokenRequest

SYSTEMS = ("log_ingest",)
PREFIX = "chaos-"
WEATHER_ROUNDS = 8
"""Invocations under faults; then they end, and what is left must come through."""
ROUNDS = 30
RUN_S = 300
"""One invocation at most: the worker's own time limit."""
NEVER = "0 0 0 29 2 *"
POLL_S = 0.05


def schedules_of(system: str) -> list[Schedule]:
    """The schedules that a system's campaign runs through."""
    if system not in SYSTEMS:
        raise LocalCloudError(f"chaos: system must be one of {', '.join(SYSTEMS)}, got {system!r}")
    return read_schedules(Path(str(resources.files("localcloud.faults"))) / f"{system}.yaml")


def read_schedules(file: Path) -> list[Schedule]:
    """A YAML file: a list of schedules."""
    try:
        return msgspec.yaml.decode(file.read_bytes(), type=list[Schedule])
    except (msgspec.DecodeError, OSError) as error:
        raise LocalCloudError(f"schedules: {file} must be a YAML list of schedules, got an error: {error}") from error


def put_faults(stack: LocalStack, schedule: Schedule | None, seed: int) -> FaultReport:
    """Put a schedule on a local cloud that runs; without one, all is well again and the answer tells what fired."""
    if schedule is None:
        return stack.require().call("DELETE", "/faults", None, FaultReport)
    return stack.require().call("PUT", "/faults", Turn(schedule=schedule, seed=seed), FaultReport)


def run_campaign(
    root: Path,
    system: str,
    *,
    schedules: list[Schedule],
    seeds: range,
    working: Working,
    on_run: Callable[[RunReport], None],
) -> CampaignReport:
    """Seed after seed; each seed takes the schedule that it counts to."""
    began = time.monotonic()
    runs: list[RunReport] = []
    with _own_cloud(root, system, working) as stack:
        campaign = Campaign(stack, system)
        with working(f"{len(seeds)} runs, {min(len(schedules), len(seeds))} schedules") as step:
            for seed in seeds:
                schedule = schedules[seed % len(schedules)]
                step.tell(f"seed {seed}, {schedule.name}, {sum(bool(run.wrong) for run in runs)} failed")
                runs.append(campaign.run(schedule, seed))
                on_run(runs[-1])
    return added_up(system, runs, time.monotonic() - began)


@contextmanager
def _own_cloud(root: Path, system: str, working: Working) -> Iterator[LocalStack]:
    """A local cloud that nobody else uses; timers run only when they are fired."""
    _sweep(root)
    home = root / ".millrace" / f"{PREFIX}{os.getpid()}"
    stack = LocalStack(root, home=home, settings={"logIngest": {"schedule": NEVER, "receiveWaitS": 0}})
    try:
        bring_up(stack, systems=[system], sample=False, working=working)
        yield stack
    finally:
        with working("removing it"):
            stack.reset()
            stack.close()


def _sweep(root: Path) -> None:
    """Clouds of campaigns that were killed."""
    for home in (root / ".millrace").glob(f"{PREFIX}*"):
        if not alive(int(home.name.removeprefix(PREFIX))):
            LocalStack(root, home=home).reset()


class Campaign:
    """Runs on one local cloud that is up."""

    def __init__(self, stack: LocalStack, system: str) -> None:
        """Asks once for what stays the same."""
        self._stack, self._system = stack, system
        outputs = stack.outputs()["logIngest"]
        self._table, self._bucket = outputs["table"], outputs["bucket"]
        self._put, self._send = log_bucket(stack, system)
        self._failed = BlobContainer(
            Http(ca_file=stack.status().endpoints["ca_file"]), _Worker(stack), url=outputs["failedUrl"]
        )
        self._letters_before: set[str] = set(self._failed.names())

    def run(self, schedule: Schedule, seed: int) -> RunReport:
        """Feeds, breaks, waits, compares."""
        began, since = time.monotonic(), datetime.now(UTC)
        put = list(truth.inputs(seed))
        after = self._last_row()
        self._feed(put)
        invocations, report = self._work(schedule, seed)
        fired = Counter(one.kind for one in report.fired)
        uploads = [
            gzip.decompress(one.body) if one.encoding == "gzip" else one.body
            for one in report.unanswered
            if (one.service, one.operation) == ("logs", "Upload")
        ]
        found = truth.compare(
            put, self._rows(after), self._letters(), uploads, killed=fired["kill"] > 0,
            corrupt=any(one.how == "flipped" for one in schedule.faults if one.kind == "corrupt"),
        )  # fmt: skip
        wrong = _wrong(found, schedule) + self._summaries(found, since, killed=fired["kill"] > 0)
        return RunReport(
            seed=seed, schedule=schedule.name, fired=dict(fired), files=len(put), rows_in=found.records_in,
            rows_out=found.records_out, dead=found.dead, died=found.died, lost=len(found.lost),
            doubled_unanswered=found.doubled_unanswered, doubled_killed=found.doubled_killed,
            doubled_corrupt=found.doubled_corrupt,
            doubled=len(found.doubled), kills=fired["kill"], invocations=invocations,
            seconds=round(time.monotonic() - began, 2), wrong=wrong,
            replay=f"./millrace chaos {self._system} --schedule {schedule.name} --seed {seed} --runs 1",
        )  # fmt: skip

    def _feed(self, put: list[truth.Input]) -> None:
        for one in put:
            self._put(one.key, one.body)
        for one in put:
            if one.announced_again:
                self._send(msgspec.json.encode({"Bucket Name": self._bucket, "Object Key": one.key}).decode())

    def _work(self, schedule: Schedule, seed: int) -> tuple[int, FaultReport]:
        """Invocations until nothing is in flight, under faults for the first of them."""
        supervisor = self._stack.require()
        put_faults(self._stack, schedule, seed)
        report: FaultReport | None = None
        try:
            for number in range(1, ROUNDS + 1):
                self._stack.fire_timers(self._system)
                if self._idle() == 0:
                    return number, report or supervisor.call("GET", "/faults", None, FaultReport)
                if number == WEATHER_ROUNDS:
                    report = put_faults(self._stack, None, 0)
                supervisor.call("POST", "/release", None, int)
        finally:
            put_faults(self._stack, None, 0)
        raise LocalCloudError(f"chaos: seed {seed}, {schedule.name}: still in flight after {ROUNDS} invocations")

    def _idle(self) -> int:
        """Waits until no handler runs; how many messages are in flight then."""
        deadline = time.monotonic() + RUN_S
        while (status := self._stack.status()).busy:
            if time.monotonic() > deadline:
                raise LocalCloudError(f"chaos: a handler still runs after {RUN_S} s; see its log")
            time.sleep(POLL_S)
        return status.in_flight

    def _last_row(self) -> int:
        return int(self._stack.query(f"select coalesce(max(rowid), 0) from {self._table}").rows[0][0])  # noqa: S608

    def _rows(self, after: int) -> list[truth.Row]:
        sql = f"select {truth.COLUMNS} from {self._table} where rowid > {after} order by rowid"  # noqa: S608 - our own names
        return msgspec.convert(self._stack.query(sql).rows, list[truth.Row])

    def _letters(self) -> list[dict[str, Any]]:
        """The dead letters of this run."""
        new = set(self._failed.names()) - self._letters_before
        self._letters_before |= new
        return [msgspec.json.decode(blob.body) for name in sorted(new) if (blob := self._failed.get(name))]

    def _summaries(self, found: truth.Findings, since: datetime, *, killed: bool) -> list[str]:
        """Whether the invocations' own summaries tell the same; a killed one tells nothing."""
        results = self._stack.require().call("GET", f"/results/{self._system}", None, list[InvocationResult])
        total: Counter[str] = Counter()
        for result in results:
            if result.started >= since and isinstance(result.summary, dict):
                total.update({name: value for name, value in result.summary.items() if isinstance(value, int)})
        told = total["records_out"] + total["records_dead"] + total["records_skipped"]
        wrong = [] if total["records_in"] == told else [f"summaries: in {total['records_in']}, accounted for {told}"]
        if killed:
            return wrong
        if total["records_out"] != found.records_out:
            wrong.append(f"summaries: {total['records_out']} records out, the table has {found.records_out}")
        if total["rows_resent"] < found.doubled_rows:
            wrong.append(f"summaries: {total['rows_resent']} rows in doubt, {found.doubled_rows} are doubled")
        return wrong


class _Worker:
    """Tokens of the system's own identity, as `./millrace token` gives them."""

    def __init__(self, stack: LocalStack) -> None:
        (self._name,) = [
            str(one.inputs["resourceName"])
            for one in stack.records().values()
            if one.type.endswith(":UserAssignedIdentity")
        ]
        self._stack = stack

    def bearer(self, audience: str) -> dict[str, str]:
        """The Authorization header."""
        wanted = TokenRequest(identity=self._name, audience=audience)
        return {"Authorization": "Bearer " + self._stack.require().call("POST", "/token", wanted, str)}

    def forget(self, audience: str) -> None:
        """Each call has a new one."""
        assert audience == AUDIENCE  # noqa: S101 - storage only


def _wrong(found: truth.Findings, schedule: Schedule) -> list[str]:
    kinds = {"lost": found.lost, "doubled": found.doubled, "strange": found.strange}
    if not schedule.may_die:
        kinds["died"] = [f"{count} × {reason}" for reason, count in found.died.items()]
    return [f"{kind}: {what}" for kind, all_ in kinds.items() for what in all_[:20]]
