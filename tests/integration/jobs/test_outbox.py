"""Commit and send: killed at any point, by several at once, nothing is lost."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.clients.faults import Transient
from core.jobs import machine
from core.jobs.outbox import AHEAD_S, Outbox
from core.messages.alma_analytics import FetchPage, Notify
from core.messages.envelope import unpack
from tests.integration.jobs.conftest import MIGRATIONS, RUN, begin
from tests.postgres import Database

pytestmark = pytest.mark.migrations(MIGRATIONS)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Kept:
    """A queue that keeps what it takes; it can be out of order."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.delays: list[int] = []
        self.down = False
        self._lock = threading.Lock()

    def send(self, body: bytes, *, delay_s: int = 0) -> None:
        if self.down:
            raise Transient("queue: 503")
        envelope = unpack(body)
        assert envelope is not None
        with self._lock:
            self.ids.append(envelope.id)
            self.delays.append(delay_s)


def put(outbox: Outbox, database: Database, *ids: str, not_before: datetime | None = None, run_id: str = RUN) -> None:
    with database.transaction() as tx:
        for id_ in ids:
            message = FetchPage(run_id=run_id, side="main", page=1)
            outbox.put(
                tx, run_id=run_id, queue="api-fetch", message=message, message_id=id_, traceparent=TRACE,
                not_before=not_before,
            )  # fmt: skip


def left(database: Database) -> int:
    with database.transaction() as tx:
        row = tx.execute("select count(*) from jobs.outbox").fetchone()
    assert row is not None
    return int(row["count"])


def test_what_is_committed_goes_out_once_in_order(jobs: Database) -> None:
    queue = Kept()
    outbox = Outbox(jobs, {"api-fetch": queue})
    put(outbox, jobs, "a", "b", "c")
    assert outbox.flush(RUN) == 3
    assert outbox.flush(RUN) == 0
    assert queue.ids == ["a", "b", "c"]


def test_what_is_rolled_back_never_goes_out(jobs: Database) -> None:
    queue = Kept()
    outbox = Outbox(jobs, {"api-fetch": queue})

    def broken(tx: machine.Tx) -> None:
        outbox.put(tx, run_id=RUN, queue="api-fetch", message=Notify(run_id=RUN), message_id="a", traceparent=TRACE)
        raise RuntimeError

    with pytest.raises(RuntimeError), jobs.transaction() as tx:
        broken(tx)
    assert outbox.flush(RUN) == 0


def test_the_queue_gets_the_message_in_its_envelope(jobs: Database) -> None:
    bodies: list[bytes] = []

    class Plain:
        def send(self, body: bytes, *, delay_s: int = 0) -> None:
            assert delay_s == 0
            bodies.append(body)

    outbox = Outbox(jobs, {"api-fetch": Plain()})
    put(outbox, jobs, "a")
    outbox.flush(RUN)
    envelope = unpack(bodies[0])
    assert envelope is not None
    assert (envelope.id, envelope.type, envelope.traceparent) == ("a", "FetchPage", TRACE)


def test_a_queue_that_is_down_keeps_the_message_for_later(jobs: Database) -> None:
    queue = Kept()
    outbox = Outbox(jobs, {"api-fetch": queue})
    put(outbox, jobs, "a")
    queue.down = True
    with pytest.raises(Transient, match="503"):
        outbox.flush(RUN)
    queue.down = False
    assert outbox.flush(RUN) == 1
    assert left(jobs) == 0


def test_a_delay_is_counted_when_it_is_sent_and_far_ahead_it_stays(jobs: Database) -> None:
    queue = Kept()
    outbox = Outbox(jobs, {"api-fetch": queue})
    now = datetime.now(UTC)
    put(outbox, jobs, "past", not_before=now - timedelta(hours=1))
    put(outbox, jobs, "soon", not_before=now + timedelta(hours=2))
    put(outbox, jobs, "far", not_before=now + timedelta(seconds=AHEAD_S, hours=1))
    assert outbox.flush(RUN) == 2
    assert queue.delays[0] == 0
    assert 7100 < queue.delays[1] <= 7200
    assert left(jobs) == 1


def test_another_apps_queues_are_left_alone_and_an_unknown_one_refused(jobs: Database) -> None:
    put(Outbox(jobs, {"api-fetch": Kept()}), jobs, "a")
    other = Outbox(jobs, {"report-email": Kept()})
    assert other.flush(RUN) == 0
    assert other.left(older_s=-1) == []
    with pytest.raises(ValueError, match=r"one that this app sends to \(report-email\), got 'api-fetch'"):
        put(other, jobs, "b")


def test_several_flushers_share_the_work_and_send_each_message_once(jobs: Database) -> None:
    queue = Kept()
    outbox = Outbox(jobs, {"api-fetch": queue})
    ids = [str(number) for number in range(100)]
    put(outbox, jobs, *ids)
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: outbox.flush(RUN), range(8)))
    assert sum(sent) == 100
    assert Counter(queue.ids) == Counter(ids)


def test_forgotten_messages_are_found_by_run(jobs: Database) -> None:
    begin(jobs, "other")
    outbox = Outbox(jobs, {"api-fetch": Kept()})
    put(outbox, jobs, "a", "b")
    put(outbox, jobs, "c", run_id="other")
    assert outbox.left(older_s=3600) == []
    found = outbox.left(older_s=-1)
    assert sorted(found) == sorted([RUN, "other"])
    assert sum(outbox.flush(run_id) for run_id in found) == 3


CHILD = """
import os, signal, sys
from core.jobs.outbox import Outbox
from tests.postgres import Database

class Deadly:
    "Takes the message, then this process dies before the row is gone."
    def send(self, body, *, delay_s=0):
        with open(sys.argv[4], "ab") as taken:
            taken.write(body + b"\\n")
        os.kill(os.getpid(), signal.SIGKILL)

Outbox(Database(sys.argv[1], int(sys.argv[2]), sys.argv[3]), {"api-fetch": Deadly()}).flush(sys.argv[5])
"""


def test_killed_between_send_and_delete_it_is_sent_again_and_nothing_is_lost(jobs: Database, tmp_path: Path) -> None:
    queue, taken = Kept(), tmp_path / "taken"
    outbox = Outbox(jobs, {"api-fetch": queue})
    put(outbox, jobs, "a", "b", "c")
    command = [sys.executable, "-c", CHILD, jobs.name, str(jobs.port), jobs.password, str(taken), RUN]
    done = subprocess.run(
        command, check=False, timeout=60, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    )
    assert done.returncode == -signal.SIGKILL
    assert taken.read_bytes().count(b"\n") == 1
    with ThreadPoolExecutor(1) as pool:
        # The server may still hold the dead one's row lock for a moment; a flusher passes it over until then.
        while left(jobs):
            pool.submit(outbox.flush, RUN).result(30)
    assert queue.ids == ["a", "b", "c"]
    assert b'"id":"a"' in taken.read_bytes()
