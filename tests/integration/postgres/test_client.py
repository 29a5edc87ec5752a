"""`core.clients.postgres` against a real server behind the door: transactions, its few connections, its faults."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import errors

from core.clients.faults import Denied, InDoubt, Transient
from core.clients.postgres import Postgres
from localcloud.faults.fault import Fault, Schedule
from localcloud.faults.injector import Injector
from tests.integration.postgres.conftest import SERVER, Place


@pytest.fixture
def client(place: Place) -> Iterator[Postgres]:
    made = place.client()
    yield made
    made.close()


def numbers(client: Postgres) -> set[int]:
    with client.transaction() as tx:
        return {row["number"] for row in tx.execute("select number from thing").fetchall()}


@pytest.fixture
def faulty(place: Place) -> Iterator[Callable[..., Injector]]:
    async def never(_: str) -> None:
        raise AssertionError

    def put(**what: object) -> Injector:
        fault = Fault(service="postgres", **{"every": 1, "most": 1, **what})  # type: ignore[arg-type]
        made = Injector(Schedule(name="test", faults=[fault]), 0, never)
        place.servers.decide = made.decide
        return made

    yield put
    place.servers.decide = None


def test_what_ends_well_is_kept_and_what_fails_is_not(client: Postgres) -> None:
    with client.transaction() as tx:
        tx.execute("insert into thing values (1)")
    with pytest.raises(ZeroDivisionError), client.transaction() as tx:  # noqa: PT012 -- the second statement fails
        tx.execute("insert into thing values (2)")
        _ = 1 / 0
    with pytest.raises(errors.UniqueViolation), client.transaction() as tx:
        tx.execute("insert into thing values (1)")
    assert 1 in numbers(client)
    assert 2 not in numbers(client)


def test_what_the_role_may_not_do_is_denied(client: Postgres) -> None:
    for statement in ("delete from thing", "create table mine()", "set role deployer", "create schema mine"):
        with pytest.raises(Denied, match=r"worker on 127\.0\.0\.1/app"), client.transaction() as tx:
            tx.execute(statement)
    numbers(client)


def test_a_wrong_identity_is_denied_at_once(place: Place) -> None:
    began = time.monotonic()
    with pytest.raises(Denied, match="password authentication failed"), place.client("other").transaction():
        pass
    assert time.monotonic() - began < 5


def test_a_connection_is_used_again(place: Place, client: Postgres) -> None:
    before = place.local.cloud.door.calls["postgres", "connect"]
    for _ in range(20):
        numbers(client)
    assert place.local.cloud.door.calls["postgres", "connect"] == before + 1


def test_many_threads_share_few_connections(place: Place) -> None:
    client = place.client(connections=3)
    before = place.local.cloud.door.calls["postgres", "connect"]
    failed: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for number in range(start, start + 10):
                with client.transaction() as tx:
                    tx.execute("insert into thing values (%s)", [number])
        except BaseException as error:  # noqa: BLE001 -- told below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(1000 + 10 * at,)) for at in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert numbers(client) >= set(range(1000, 1120))
    assert place.local.cloud.door.calls["postgres", "connect"] <= before + 3
    client.close()


def test_two_that_lock_each_other(place: Place, client: Postgres) -> None:
    with place.connect("deployer", place.admin) as admin:
        admin.execute("create table if not exists lock_me (id int primary key, n int)")
        admin.execute("insert into lock_me values (1, 0), (2, 0) on conflict do nothing")
        admin.execute("grant select, update on lock_me to worker")
    both, told = threading.Barrier(2), []

    def turn(first: int, second: int) -> None:
        try:
            with client.transaction() as tx:
                tx.execute("update lock_me set n = n + 1 where id = %s", [first])
                both.wait(10)
                tx.execute("update lock_me set n = n + 1 where id = %s", [second])
        except Transient as error:
            told.append(str(error))

    threads = [threading.Thread(target=turn, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(told) == 1
    assert "deadlock" in told[0]


def test_a_serialization_failure_is_transient(client: Postgres) -> None:
    with pytest.raises(Transient, match="serialize"), client.transaction() as one:  # noqa: PT012 -- two at once
        one.execute("set transaction isolation level serializable")
        one.execute("select sum(number) from thing")
        with client.transaction() as two:
            two.execute("set transaction isolation level serializable")
            two.execute("select sum(number) from thing")
            two.execute("insert into thing values (50)")
        one.execute("insert into thing values (51)")


def test_a_connection_that_ends_within_is_transient(place: Place, client: Postgres) -> None:
    with pytest.raises(Transient), client.transaction() as tx:  # noqa: PT012 -- it ends in between
        tx.execute("insert into thing values (60)")
        with place.connect("deployer", place.admin, "postgres") as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'worker' and datname = 'app'"
            )
        tx.execute("select 1")
    assert 60 not in numbers(client)


def test_idle_connections_that_ended_are_not_lent_out(place: Place, client: Postgres) -> None:
    with client.transaction() as tx:
        tx.execute("insert into thing values (90)")
    file = place.servers._servers[SERVER]._server._data / "postmaster.pid"
    before = file.read_text().split("\n", 1)[0]
    os.kill(int(before), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:  # it is started again by itself; sessions of the killed one answer for another moment
        try:
            if before not in file.read_text() and 90 in numbers(client) and not place.servers.problems():
                break
        except (Transient, FileNotFoundError):
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)
    numbers(client)


@pytest.mark.parametrize("kind", ["refuse", "cut"])
def test_a_connection_refused_or_cut_is_transient(place: Place, faulty: Callable[..., Injector], kind: str) -> None:
    faulty(kind=kind, operation="connect")
    client = place.client()
    with pytest.raises(Transient), client.transaction():
        pass
    numbers(client)
    client.close()


def test_a_commit_whose_answer_is_lost_is_in_doubt(client: Postgres, faulty: Callable[..., Injector]) -> None:
    numbers(client)
    # begin, insert (a prepared statement would come with one message as well), commit
    faulty(kind="cut", operation="message", when="after", skip=2)
    with pytest.raises(InDoubt), client.transaction() as tx:
        tx.execute("insert into thing values (70)")
    assert 70 in numbers(client)


def test_a_statement_cut_before_it_ran(client: Postgres, faulty: Callable[..., Injector]) -> None:
    numbers(client)
    faulty(kind="cut", operation="message", skip=1)
    with pytest.raises(Transient), client.transaction() as tx:
        tx.execute("insert into thing values (80)")
    assert 80 not in numbers(client)


def test_closed_means_closed(place: Place) -> None:
    client = place.client()
    with client.transaction() as tx:
        client.close()
        assert tx.execute("select 1 as one").fetchone() == {"one": 1}
    assert client._idle == []
    assert isinstance(tx, psycopg.Connection)
    assert tx.closed
