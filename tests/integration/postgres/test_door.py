"""The door in front of PostgreSQL: whom it lets in, whom it turns away and how, and that it is not in the way."""

import socket
import ssl
import struct
import threading
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg import errors

from core.clients.postgres import AUDIENCE
from localcloud.emulators.postgres import wire
from localcloud.emulators.postgres.server import PostgresServer
from tests.integration.emulators.security.tokens import UNKNOWN, Forge
from tests.integration.postgres.conftest import SERVER, Place

WORDS = {
    "wrong audience": "does not have a valid audience claim",
    "no audience": "does not have a valid audience claim",
    "expired": "has expired",
    "garbage": "has invalid format",
    "three parts of garbage": "has invalid format",
    "deeply nested": "has invalid format",
}


def refused(place: Place, role: str, token: str, **more: str) -> str:
    with pytest.raises(psycopg.OperationalError, match="FATAL") as caught:
        place.connect(role, token=token, **more)
    assert token not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", UNKNOWN)
def test_nobody_unknown_comes_in(place: Place, kind: str) -> None:
    token = place.local.do(lambda: UNKNOWN[kind](Forge(place.local.cloud.identity, place.worker, AUDIENCE)))
    expected = WORDS.get(kind, "error occurred while validating the access token|invalid format")
    with pytest.raises(psycopg.OperationalError, match=f"FATAL:  .*({expected})"):
        place.connect("worker", token=token)


def test_the_right_identity_may_not_be_another_role(place: Place) -> None:
    mine = place.token(place.worker)
    for role in ("other", "deployer", "postgres", "azure_pg_admin", "nobody", 'worker"; drop table thing; --'):
        assert f'password authentication failed for user "{role}"' in refused(place, role, mine)
    with place.connect("worker", token=mine) as connection:
        assert connection.execute("select session_user").fetchone() == ("worker",)


def test_an_identity_without_a_role_and_one_that_is_gone(place: Place) -> None:
    stranger = place.token(place.local.identity("stranger"))
    assert "password authentication failed" in refused(place, "worker", stranger)


def test_a_role_dropped_and_made_again_is_somebody_else_s(place: Place) -> None:
    place_of = place.local.identity("brief")
    make = "select pgaadauth_create_principal_with_oid('brief', %s, 'service', false, false)"
    with place.connect("deployer", place.admin, "postgres") as connection:
        assert connection.execute(make, [place_of]).fetchone() == ("Created role for brief",)
        connection.commit()
        place.connect("brief", place_of, "postgres").close()
        connection.execute("drop role brief")
        connection.execute("create role brief login")
    assert "password authentication failed" in refused(place, "brief", place.token(place_of))


def test_who_may_make_roles(place: Place) -> None:
    make = "select pg_catalog.pgaadauth_create_principal_with_oid(%s, %s, %s, %s, false)"
    with place.connect("worker", place.worker, "postgres") as connection:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(make, ["mine", place.worker, "service", True])
        connection.rollback()
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("select * from pgaadauth.principal")
    with place.connect("deployer", place.admin, "postgres") as connection:
        with pytest.raises(errors.InvalidParameterValue, match="GUID"):
            connection.execute(make, ["mine", "x", "service", False])
        connection.rollback()
        with pytest.raises(errors.DuplicateObject):
            connection.execute(make, ["worker", place.other, "service", False])
        connection.rollback()
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("select rolpassword from pg_authid")


def test_nobody_comes_in_without_tls(place: Place) -> None:
    text = refused(place, "worker", place.token(place.worker), sslmode="disable")
    assert 'no pg_hba.conf entry for host "127.0.0.1", user "worker", database "app", no encryption' in text


def test_only_tls_1_2_and_newer(place: Place) -> None:
    with pytest.raises(psycopg.OperationalError):
        place.connect("worker", place.worker, ssl_max_protocol_version="TLSv1.1", ssl_min_protocol_version="TLSv1.1")
    with place.connect("worker", place.worker) as connection:
        assert connection.pgconn.ssl_in_use


def test_the_server_s_own_refusal_arrives(place: Place) -> None:
    assert 'database "none" does not exist' in refused(place, "worker", place.token(place.worker), dbname="none")


def test_a_query_can_be_cancelled(place: Place) -> None:
    """Through TLS as libpq does it today; not `cancel`, which would hold this process, and with it the door, still."""
    with place.connect("worker", place.worker) as connection:
        done = threading.Event()

        def cancel() -> None:
            """Again and again: what comes before the query has begun cancels nothing."""
            while not done.wait(0.1):
                connection.cancel_safe()

        cancelling = threading.Thread(target=cancel)
        cancelling.start()
        with pytest.raises(errors.QueryCanceled):
            connection.execute("select pg_sleep(100)")
        done.set()
        cancelling.join()


def test_much_passes_both_ways(place: Place) -> None:
    text = "0123456789" * 500_000
    with place.connect("worker", place.worker) as connection:
        assert connection.execute("select %s::text", [text]).fetchone() == (text,)
        with connection.cursor().copy("copy (select generate_series(1, 200000)) to stdout") as copy:
            assert sum(1 for _ in copy.rows()) == 200_000


def test_connections_are_counted(place: Place) -> None:
    before = place.local.cloud.door.calls["postgres", "connect"]
    refusals = place.local.cloud.door.refused["postgres", "connect"]
    with place.connect("worker", place.worker):
        assert place.servers.connections()[SERVER] >= 1
    refused(place, "worker", "not-a-token")
    assert place.local.cloud.door.calls["postgres", "connect"] == before + 1
    assert place.local.cloud.door.refused["postgres", "connect"] == refusals + 1


def raw(place: Place, *packets: bytes, tls: bool = False) -> bytes:
    """Everything that is answered to bytes that no client would send."""
    host, _, port = place.endpoint.partition(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        stream: Any = sock
        if tls:
            sock.sendall(wire.start(wire.TLS, b""))
            assert sock.recv(1) == b"S"
            context = ssl.create_default_context(cafile=place.local.ca)
            stream = context.wrap_socket(sock, server_hostname=host)
        with stream:
            for packet in packets:
                stream.sendall(packet)
            if not tls:
                stream.shutdown(socket.SHUT_WR)
            heard = b""
            with suppress(ConnectionError):
                while chunk := stream.recv(4096):
                    heard += chunk
            return heard


HELLO = wire.start_up({"user": "worker", "database": "app"})


@pytest.mark.parametrize(
    "packets",
    [
        [b"GET / HTTP/1.1\r\n\r\n"],
        [struct.pack("!ii", 4, 0)],
        [struct.pack("!ii", 1 << 30, wire.VERSION)],
        [struct.pack("!ii", -1, wire.VERSION)],
        [wire.start(wire.TLS, b"")[:6]],
        [HELLO, b"Q" + struct.pack("!i", 8) + b"x;\0\0"],
        [HELLO, b"p" + struct.pack("!i", 1 << 29)],
        [HELLO, b"p" + struct.pack("!i", 3)],
        [wire.start(wire.VERSION, b"user\0worker\0odd\0\0")],
        [wire.start(wire.VERSION, b"\0")],
        [wire.start(2 << 16, b"user\0worker\0\0")],
    ],
    ids=["http", "short", "long", "negative", "half", "query", "long token", "short token", "odd", "nobody", "old"],
)
def test_garbage_gets_nothing(place: Place, packets: list[bytes]) -> None:
    heard = raw(place, *packets, tls=len(packets) > 1)
    assert b"Z" + struct.pack("!i", 5) not in heard  # never ready for a query
    with place.connect("worker", place.worker) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_newer_protocol_is_talked_down(place: Place) -> None:
    newer = wire.start(wire.VERSION + 2, b"user\0worker\0_pq_.shiny\0on\0\0")
    heard = raw(place, newer, wire.message(b"p", b"x\0"), tls=True)
    assert heard.startswith(wire.newest_version_is_ours(["_pq_.shiny"]) + wire.authentication(wire.CLEARTEXT))


def test_a_server_that_does_not_come_up_is_a_problem_and_no_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: PostgresServer) -> None:
        raise RuntimeError("no way for root")

    monkeypatch.setattr(PostgresServer, "start", fail)
    with pytest.raises(ValueError, match="no way for root"):
        place.local.run(place.servers.put_server("db-broken"))
    assert place.servers.problems() == {"postgres db-broken": "no way for root"}
    place.local.run(place.servers.remove_server("db-broken"))
    assert place.servers.problems() == {}
    place.connect("worker", place.worker).close()


def test_what_is_removed_takes_its_data_along(place: Place) -> None:
    place.local.run(place.servers.put_server("db-gone"))
    folder = place.servers._home / "db-gone"
    assert (folder / "data/PG_VERSION").read_text() == "18\n"
    place.local.run(place.servers.remove_server("db-gone"))
    assert not folder.exists()


def test_a_password_that_a_role_gave_itself_is_taken_away_at_its_next_sign_in(place: Place) -> None:
    with place.connect("other", place.other, autocommit=True) as connection:
        connection.execute("alter role other password 'planted'")
    port = place.servers._servers[SERVER].behind()[0]
    direct = f"host=127.0.0.1 port={port} user=other dbname=app password=planted"
    psycopg.connect(direct).close()
    place.connect("other", place.other).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(direct)
