"""PostgreSQL by the worker's own identity: its Entra token is the password, every statement runs in a transaction.

https://learn.microsoft.com/azure/postgresql/flexible-server/how-to-configure-sign-in-azure-ad-authentication
A few connections are kept and lent out, each to one transaction at a time. psycopg's own pool connects in threads of
its own: whoever waits for it learns after half a minute that a connection is missing, and never why.
"""

from __future__ import annotations

import re
import select
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from core.clients.faults import Denied, InDoubt, Transient

AUDIENCE = "https://ossrdbms-aad.database.windows.net"
PORT = 5432
_CONNECT_S = 10  # a server that fails over takes no connections for a minute; the message comes again later
_WAIT_S = 30.0  # for a connection that another thread holds
_KEPT_S = 240.0  # idle for longer: Azure's network may have dropped it in silence
_STATEMENT_S = 120
_IDLE_IN_TRANSACTION_S = 60  # a worker that stalls gives its locks back
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")

_PASSING = (errors.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
"""Among them deadlock, serialization, a time limit; the last is a server that gave its role to another one."""
_REFUSED = re.compile(
    r"password authentication failed|no pg_hba.conf entry|permission denied|is not permitted to log in"
    r"|role \".*\" does not exist"
)
"""libpq keeps the SQLSTATE of a refused connection to itself; only its text comes out."""

Connection = psycopg.Connection[dict[str, Any]]


class Postgres:
    """One database, as one role. Thread-safe."""

    def __init__(
        self,
        token: Callable[[], str],
        *,
        endpoint: str,
        name: str,
        user: str,
        ca_file: str | None,
        connections: int = 8,
    ) -> None:
        """`token`: gives a token for AUDIENCE that lasts another while; `endpoint`: `host` or `host:port`; `name`: the
        database; `ca_file`: whom to trust besides nobody, None for the system's own authorities. Contacts nobody yet.
        """
        host, _, port = endpoint.partition(":")
        self._token = token
        self._who = f"{user} on {host}/{name}"
        self._conninfo = make_conninfo(
            host=host,
            port=port or PORT,
            dbname=name,
            user=user,
            sslmode="verify-full",
            sslrootcert=ca_file or _authorities(),
            gssencmode="disable",
            connect_timeout=_CONNECT_S,
            keepalives_idle=30,
            tcp_user_timeout=30_000,
            application_name=user,
            options=f"-c statement_timeout={_STATEMENT_S}s "
            f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_S}s",
        )
        self._free = threading.BoundedSemaphore(connections)
        self._lock = threading.Lock()
        self._idle: list[tuple[Connection, float]] = []
        self._closed = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection inside a transaction, its rows dicts: commits at the end, rolls back on an error.

        Raises Transient (lost connection, deadlock, serialization, a statement that took too long: nothing of it
        counts), InDoubt (the connection was lost during the commit), Denied (this role may not do that). Other
        errors of psycopg are defects of the statement and come as they are.
        """
        if not self._free.acquire(timeout=_WAIT_S):
            raise Transient(f"postgres {self._who}: all connections were in use for {_WAIT_S:.0f} s")
        try:
            connection = self._borrow()
            try:
                yield from self._inside(connection)
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Ends the idle connections; those in use end when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _inside(self, connection: Connection) -> Iterator[Connection]:
        committing = False
        try:
            yield connection
            committing = True
            connection.commit()
        except psycopg.Error as error:
            lost = committing and connection.closed
            with suppress(psycopg.Error):
                connection.rollback()
            raise self._told(error, lost=lost) from error
        except BaseException:
            with suppress(psycopg.Error):
                connection.rollback()
            raise

    def _borrow(self) -> Connection:
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection, since = self._idle.pop()
            if not connection.closed and time.monotonic() - since < _KEPT_S and _hears_nothing(connection):
                return connection
            connection.close()
        try:
            return psycopg.connect(self._conninfo, password=self._token(), row_factory=dict_row)
        except psycopg.Error as error:
            raise self._told(error, lost=False) from error

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed and connection.info.transaction_status == TransactionStatus.IDLE:
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()

    def _told(self, error: psycopg.Error, *, lost: bool) -> Exception:
        text = f"postgres {self._who}: {str(error).strip()}"
        if lost:
            return InDoubt(text)
        if isinstance(error, errors.InsufficientPrivilege) or (error.sqlstate is None and _REFUSED.search(str(error))):
            return Denied(text)
        return Transient(text) if isinstance(error, _PASSING) else error


def _hears_nothing(connection: Connection) -> bool:
    """False once the server has said or done something to an idle connection: most often good-bye."""
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return not waiting.poll(0)


def _authorities() -> str:
    """The system's certificate authorities: libpq of the wheel was built elsewhere and knows no place."""
    paths = ssl.get_default_verify_paths()
    for candidate in (paths.cafile, paths.openssl_cafile, *_BUNDLES):
        if candidate and Path(candidate).is_file():
            return candidate
    return "system"
