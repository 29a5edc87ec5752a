"""The PostgreSQL of the local cloud as a process: who may reach it, and what survives which end of it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from localcloud.emulators.ports import Ports
from localcloud.emulators.postgres import unprivileged
from localcloud.emulators.postgres.server import PostgresServer
from tests.postgres import Database

STARTER = """
import sys
from pathlib import Path
from localcloud.emulators.ports import Ports
from localcloud.emulators.postgres.server import PostgresServer
folder = Path(sys.argv[1])
server = PostgresServer(folder, lambda: Ports(folder / "ports.json").free("postgres"))
server.start()
print(server.port, server._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "postgres"


@pytest.fixture
def make(folder: Path) -> Iterator[Callable[[], PostgresServer]]:
    made: list[PostgresServer] = []

    def start() -> PostgresServer:
        server = PostgresServer(folder, lambda: Ports(folder / "ports.json").free("postgres"))
        made.append(server)
        server.start()
        return server

    yield start
    for server in made:
        server.stop()


def connect(server: PostgresServer, password: str | None = None) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host="127.0.0.1", port=server.port, user="postgres", dbname="postgres", password=password or server.password
    )


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "still not so after 20 s"
        time.sleep(0.02)


def postmaster(folder: Path) -> int:
    return int((folder / "data/postmaster.pid").read_text().split("\n", 1)[0])


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_only_its_password_opens_it_and_only_on_loopback(make: Callable[[], PostgresServer], folder: Path) -> None:
    server = make()
    with connect(server) as connection:
        listening = connection.execute("show listen_addresses").fetchone()
        sockets = connection.execute("show unix_socket_directories").fetchone()
    assert (listening, sockets) == (("127.0.0.1",), ("",))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(server, "guessed")
    assert (folder / "password").stat().st_mode & 0o777 == 0o600


def test_data_and_address_stay_over_a_stop(make: Callable[[], PostgresServer]) -> None:
    server = make()
    port = server.port
    with connect(server) as connection:
        connection.execute("create table kept as select 1 as one")
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        connect(server)
    server.start()
    assert server.port == port
    with connect(server) as connection:
        assert connection.execute("select * from kept").fetchall() == [(1,)]


def started_elsewhere(folder: Path) -> tuple["subprocess.Popen[str]", int, int]:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout
    port, keeper = map(int, starter.stdout.readline().split())
    return starter, port, keeper


def commit_one(folder: Path, port: int) -> None:
    password = (folder / "password").read_text()
    with psycopg.connect(
        host="127.0.0.1", port=port, user="postgres", dbname="postgres", password=password
    ) as connection:
        connection.execute("create table kept as select 1 as one")


@pytest.mark.parametrize("also", ["nobody", "keeper", "everybody"])
def test_a_kill_of_its_starter_ends_it_and_nothing_committed_is_lost(
    make: Callable[[], PostgresServer], folder: Path, also: str
) -> None:
    starter, port, keeper = started_elsewhere(folder)
    commit_one(folder, port)
    server = postmaster(folder)
    starter.kill()
    if also in {"keeper", "everybody"}:
        os.kill(keeper, signal.SIGKILL)
    if also == "everybody":
        os.kill(server, signal.SIGKILL)
    starter.communicate()
    eventually(lambda: not lives(server))
    with connect(make()) as connection:
        assert connection.execute("select * from kept").fetchall() == [(1,)]


def test_the_server_of_a_killed_starter_that_still_lives_is_ended_first(
    make: Callable[[], PostgresServer], folder: Path
) -> None:
    starter, port, _ = started_elsewhere(folder)
    commit_one(folder, port)
    before = postmaster(folder)
    with connect(make()) as connection:
        assert connection.execute("select * from kept").fetchall() == [(1,)]
    assert not lives(before)
    starter.kill()
    starter.communicate()


def test_a_stale_number_of_another_process_is_no_obstacle(make: Callable[[], PostgresServer], folder: Path) -> None:
    server = make()
    file = folder / "data/postmaster.pid"
    content = file.read_text()
    server.stop()
    file.write_text(content.replace(content.split("\n", 1)[0], str(os.getpid()), 1))
    server.start()
    assert server.running


def test_a_data_folder_half_made_is_made_anew(make: Callable[[], PostgresServer], folder: Path) -> None:
    (folder / "data.draft").mkdir(parents=True)
    (folder / "data.draft/PG_VERSION").write_text("18")
    assert make().running


def test_a_port_taken_at_the_last_moment_is_no_obstacle(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], _free()])
        server = PostgresServer(folder, lambda: int(next(ports)))
        server.start()
        connect(server).close()
        server.stop()


def test_one_that_cannot_start_says_why(make: Callable[[], PostgresServer], folder: Path) -> None:
    make().stop()
    (folder / "data/PG_VERSION").write_text("9.6\n")
    with pytest.raises(RuntimeError, match="incompatible"):
        make()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must become somebody else")
@pytest.mark.parametrize("ways", [("namespace", "lesser"), ("lesser", "namespace")])
def test_root_has_two_ways_and_may_change_from_one_to_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ways: tuple[str, str]
) -> None:
    prefixes = {"namespace": unprivileged._NAMESPACE, "lesser": unprivileged._LESSER}
    for way in ways:
        monkeypatch.setattr(unprivileged, "_prefix", lambda way=way: prefixes[way])
        server = PostgresServer(folder, _free)
        server.start()
        assert Path(f"/proc/{postmaster(folder)}").stat().st_uid == (0 if way == "namespace" else 65534)
        with connect(server) as connection:
            connection.execute("create table if not exists kept()")
        server.stop()


def test_root_without_a_way_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda _: None)
    unprivileged._prefix.cache_clear()
    with pytest.raises(RuntimeError, match="ordinary user"):
        unprivileged.command(["postgres"], tmp_path)


def _free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_each_test_has_a_database_of_its_own(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("create table only_here()")
        assert connection.execute("select current_database() as name").fetchall() == [{"name": database.name}]


def test_each_test_has_a_database_of_its_own_again(database: Database, postgres_url: str) -> None:
    assert postgres_url == database.url
    with database.connect() as connection:
        connection.execute("create table only_here()")
