"""What a deployment does inside a database, signed in as its administrator with the deployer's own token.

The only module of the program that connects to a database. Everything here may be repeated: what is so already stays.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.migrations import Migration, MigrationError, digest, missing, parse
from components.packaging.publish import ROLE_WAIT_S, credential

if TYPE_CHECKING:
    import psycopg

SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
LOCK = 0x6D696C6C
LOCK_WAIT_S = 600
STATEMENT_S = 1800
PAUSE_S = 3.0
LOCAL_WAIT_S = 10  # on this machine nothing spreads; PostgreSQL may be starting
_NOT_YET = re.compile(r"password authentication failed|role \".*\" does not exist|starting up|no pg_hba\.conf entry")
"""An administrator or a firewall rule of a moment ago is seen everywhere within minutes."""
_RECORD = """
create schema if not exists millrace;
create table if not exists millrace.migration (
    path text primary key,
    digest text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default session_user
);
"""


class DatabaseError(Exception):
    """What the database refused; a sentence for people."""


def migrate(props: Mapping[str, Any], root: Path) -> None:
    """Apply what is not applied yet, each file in a transaction of its own together with its record."""
    wanted = parse(props["files"])
    with _connected(props, props["database"]) as connection:
        _wait_for_turn(connection)
        connection.execute(_RECORD.encode())
        rows = connection.execute("select path, digest from millrace.migration").fetchall()
        for migration in missing(wanted, dict(rows)):
            _apply(connection, migration, root)


def _wait_for_turn(connection: psycopg.Connection[Any]) -> None:
    """Two that change the same grants or files at once: the second waits until the first has ended its session."""
    connection.execute("select set_config('lock_timeout', %s, false)", [f"{LOCK_WAIT_S}s"])
    connection.execute("select pg_advisory_lock(%s)", [LOCK])


def migrated(props: Mapping[str, Any]) -> bool:
    """Whether every file is recorded; False as well when the database cannot be asked."""
    try:
        with _connected(props, props["database"], patience_s=0) as connection:
            rows = dict(connection.execute("select path, digest from millrace.migration").fetchall())
    except DatabaseError:
        return False
    return all(rows.get(migration.path) == migration.digest for migration in parse(props["files"]))


def _apply(connection: psycopg.Connection[Any], migration: Migration, root: Path) -> None:
    import psycopg

    content = (root / migration.path).read_bytes()
    if digest(content) != migration.digest:
        raise MigrationError(f"migration {migration.path}: it changed while this ran; run it again")
    try:
        connection.execute("begin")
        connection.execute(content)
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.INTRANS:
            raise MigrationError(
                f"migration {migration.path}: it must leave its transaction open, got one that it ended; remove begin, "
                "commit and rollback from it"
            )
        record = "insert into millrace.migration (path, digest) values (%s, %s)"
        connection.execute(record, [migration.path, migration.digest])
        connection.execute("commit")
    except psycopg.Error as error:
        connection.execute("rollback")
        place = f" (at character {error.diag.statement_position})" if error.diag.statement_position else ""
        raise MigrationError(
            f"migration {migration.path}: PostgreSQL refused it{place}: {_said(error)}; nothing of it was applied; "
            "correct the file and run it again"
        ) from error


def admit(props: Mapping[str, Any]) -> None:
    """A login role for the principal, member of exactly the group role that a migration made."""
    from psycopg.sql import SQL, Identifier

    login, group, database = (Identifier(props[key]) for key in ("login", "role", "database"))
    with _connected(props, "postgres") as connection:
        _wait_for_turn(connection)
        if not connection.execute("select 1 from pg_roles where rolname = %s", [props["role"]]).fetchone():
            raise DatabaseError(
                f'database {props["database"]}: role "{props["role"]}" of {props["login"]} must exist, got none; '
                "create it (nologin) and grant it what it needs in a migration"
            )
        if not props["administrator"]:
            _make_login(connection, props)
            groups = (
                "select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid "
                "join pg_roles r on r.oid = m.member where r.rolname = %s and g.rolname <> %s"
            )
            for (other,) in connection.execute(groups, [props["login"], props["role"]]).fetchall():
                connection.execute(SQL("revoke {} from {}").format(Identifier(other), login))
        # Whoever has no role of ours has no business in this database; on Azure every role may connect by default.
        connection.execute(SQL("revoke connect, temporary on database {} from public").format(database))
        connection.execute(SQL("grant connect on database {} to {}").format(database, group))
        connection.execute(SQL("grant {} to {}").format(group, login))


def _make_login(connection: psycopg.Connection[Any], props: Mapping[str, Any]) -> None:
    from psycopg.sql import SQL, Identifier

    known = "select lower(objectid) from pg_catalog.pgaadauth_list_principals(false) where rolname = %s"
    found = connection.execute(known, [props["login"]]).fetchone()
    if found == (props["object_id"].lower(),):
        return
    # The role of an identity that was made anew: it owns nothing and holds nothing but its group.
    connection.execute(SQL("drop role if exists {}").format(Identifier(props["login"])))
    make = "select * from pg_catalog.pgaadauth_create_principal_with_oid(%s, %s, 'service', false, false)"
    connection.execute(make, [props["login"], props["object_id"]])


def admitted(props: Mapping[str, Any]) -> bool:
    """Whether the login role is there and in its group; False as well when the database cannot be asked."""
    member = "select pg_has_role(%s, %s, 'member')"
    try:
        with _connected(props, "postgres", patience_s=0) as connection:
            return bool(connection.execute(member, [props["login"], props["role"]]).fetchone() == (True,))
    except DatabaseError:
        return False


def dismiss(props: Mapping[str, Any]) -> None:
    """The login role is dropped; an administrator only leaves the group."""
    from psycopg.sql import SQL, Identifier

    login, group = Identifier(props["login"]), Identifier(props["role"])
    with _connected(props, "postgres") as connection:
        _wait_for_turn(connection)
        if not props["administrator"]:
            connection.execute(SQL("drop role if exists {}").format(login))
        elif connection.execute("select 1 from pg_roles where rolname = %s", [props["role"]]).fetchone():
            connection.execute(SQL("revoke {} from {}").format(group, login))


@contextmanager
def _connected(
    props: Mapping[str, Any], database: str, patience_s: float = ROLE_WAIT_S
) -> Iterator[psycopg.Connection[Any]]:
    """As the administrator, autocommit. Every refusal comes out as DatabaseError."""
    import psycopg

    host, _, port = props["endpoint"].partition(":")
    who = f"database {database} on {props['endpoint']}"
    deadline = time.monotonic() + (min(patience_s, LOCAL_WAIT_S) if host == "127.0.0.1" else patience_s)
    while True:
        try:
            connection = psycopg.connect(
                host=host,
                port=port or 5432,
                dbname=database,
                user=props["user"],
                password=credential().get_token(SCOPE).token,
                sslmode="verify-full",
                sslrootcert=_authorities(),
                connect_timeout=15,
                application_name="millrace-deployment",
                options=f"-c statement_timeout={STATEMENT_S}s",
                autocommit=True,
            )
            break
        except psycopg.OperationalError as error:
            if not _NOT_YET.search(str(error)) or time.monotonic() > deadline:
                raise DatabaseError(
                    f"{who}: {props['user']} could not sign in: {str(error).strip()}; the deployer must be the "
                    "server's Entra administrator and reach it through its firewall (admitted_addresses)"
                ) from error
            time.sleep(PAUSE_S)
    try:
        yield connection
    except psycopg.Error as error:
        raise DatabaseError(f"{who}: {_said(error)}") from error
    finally:
        connection.close()


def _said(error: psycopg.Error) -> str:
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return f"{error.diag.message_primary or str(error).strip()}{hint}"


def _authorities() -> str:
    """Whom to trust: what the machine's own variable names, or the certificates that come with azure-identity."""
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")  # noqa: TID251  the SDKs' variables
    if named:
        return named
    paths = ssl.get_default_verify_paths()
    for candidate in (paths.cafile, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"):
        if candidate and Path(candidate).is_file():
            return candidate
    import certifi  # of requests, which azure-core needs

    return str(certifi.where())
