"""log_ingest in a campaign: objects and announcements in; invocations until nothing is in flight; rows and dead letters
compared with what was put.
"""

import gzip
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from core.clients.blob import AUDIENCE, BlobContainer
from core.clients.http import Http
from localcloud.faults.fault import Schedule
from localcloud.faults.injector import FaultReport
from localcloud.host.spec import InvocationResult
from localcloud.outside import log_ingest_truth as truth
from localcloud.session.chaos_report import Judged
from localcloud.session.feeding import log_bucket
from localcloud.session.local import LocalCloudError, LocalStack
from localcloud.supervisor.shapes import TokenRequest

SYSTEM: Final = "log_ingest"
SETTINGS: Final = {"logIngest": {"schedule": "0 0 0 29 2 *", "receiveWaitS": 0}}
RUN_S = 300
"""One invocation at most: the worker's own time limit."""
POLL_S = 0.05


@contextmanager
def trial(stack: LocalStack) -> Iterator["LogIngestTrial"]:
    """On a local cloud that is up."""
    yield LogIngestTrial(stack)


class LogIngestTrial:
    """A run: 22 objects."""

    def __init__(self, stack: LocalStack) -> None:
        """Asks once for what stays the same."""
        self._stack = stack
        outputs = stack.outputs()["logIngest"]
        self._table, self._bucket = outputs["table"], outputs["bucket"]
        self._put, self._send = log_bucket(stack, SYSTEM)
        self._failed = BlobContainer(
            Http(ca_file=stack.status().endpoints["ca_file"]), _Worker(stack), url=outputs["failedUrl"]
        )
        self._letters_before: set[str] = set(self._failed.names())
        self._inputs: list[truth.Input] = []
        self._since, self._after = datetime.now(UTC), 0

    def put(self, seed: int, schedule: Schedule) -> None:
        """Objects, and some of their announcements once more."""
        if schedule.given:
            raise LocalCloudError(f"schedule {schedule.name}: given must be empty for {SYSTEM}, got {schedule.given}")
        self._since, self._after = datetime.now(UTC), self._last_row()
        self._inputs = list(truth.inputs(seed))
        for one in self._inputs:
            self._put(one.key, one.body)
        for one in self._inputs:
            if one.announced_again:
                self._send(msgspec.json.encode({"Bucket Name": self._bucket, "Object Key": one.key}).decode())

    def drive(self) -> Literal["over", "moving", "still"]:
        """One invocation."""
        self._stack.fire_timers(SYSTEM)
        deadline = time.monotonic() + RUN_S
        while (status := self._stack.status()).busy:
            if time.monotonic() > deadline:
                raise LocalCloudError(f"chaos: a handler still runs after {RUN_S} s; see its log")
            time.sleep(POLL_S)
        return "moving" if status.in_flight else "over"

    def mend(self) -> None:
        """It mends itself."""

    def judge(self, schedule: Schedule, report: FaultReport) -> Judged:
        """Rows, dead letters and the invocations' own summaries."""
        killed = any(one.kind == "kill" for one in report.fired)
        uploads = [
            gzip.decompress(one.body) if one.encoding == "gzip" else one.body
            for one in report.unanswered
            if (one.service, one.operation) == ("logs", "Upload")
        ]
        found = truth.compare(
            self._inputs, self._rows(), self._letters(), uploads, killed=killed,
            corrupt=any(one.how == "flipped" for one in schedule.faults if one.kind == "corrupt"),
        )  # fmt: skip
        counts = {
            "files": len(self._inputs), "rows_in": found.records_in, "rows_out": found.records_out, "dead": found.dead,
            "died": sum(found.died.values()), "lost": len(found.lost), "doubled_unanswered": found.doubled_unanswered,
            "doubled_killed": found.doubled_killed, "doubled_corrupt": found.doubled_corrupt,
            "doubled": len(found.doubled),
        }  # fmt: skip
        died = [f"died: {count} × {reason}" for reason, count in found.died.items()]
        wrong = _wrong(found, died, schedule) + self._summaries(found, killed=killed)
        return Judged(counts=counts, notes=died if schedule.may_die else [], wrong=wrong)

    def _last_row(self) -> int:
        return int(self._stack.query(f"select coalesce(max(rowid), 0) from {self._table}").rows[0][0])  # noqa: S608

    def _rows(self) -> list[truth.Row]:
        sql = f"select {truth.COLUMNS} from {self._table} where rowid > {self._after} order by rowid"  # noqa: S608 - our own names
        return msgspec.convert(self._stack.query(sql).rows, list[truth.Row])

    def _letters(self) -> list[dict[str, Any]]:
        """The dead letters of this run."""
        new = set(self._failed.names()) - self._letters_before
        self._letters_before |= new
        return [msgspec.json.decode(blob.body) for name in sorted(new) if (blob := self._failed.get(name))]

    def _summaries(self, found: truth.Findings, *, killed: bool) -> list[str]:
        """Whether the invocations' own summaries tell the same; a killed one tells nothing."""
        results = self._stack.require().call("GET", f"/results/{SYSTEM}", None, list[InvocationResult])
        total: Counter[str] = Counter()
        for result in results:
            if result.started >= self._since and isinstance(result.summary, dict):
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


def _wrong(found: truth.Findings, died: list[str], schedule: Schedule) -> list[str]:
    kinds = {"lost": found.lost, "doubled": found.doubled, "strange": found.strange}
    wrong = [f"{kind}: {what}" for kind, all_ in kinds.items() for what in all_[:20]]
    return wrong if schedule.may_die else wrong + died[:20]
