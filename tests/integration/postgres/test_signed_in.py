"""What a deployment does in a database, by its own token through the door: alone, twice, and two at once."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.data import signed_in
from components.data.migrations import MigrationError, find
from tests.integration.postgres.conftest import SERVER, Place

Props = dict[str, Any]


@pytest.fixture
def props(place: Place, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Props:
    """A database of this test's own, and the deployer signed in."""
    name = request.node.name.partition("[")[0][-50:]
    place.local.run(place.servers.put_database(SERVER, name))
    token = SimpleNamespace(token=place.token(place.admin))
    monkeypatch.setattr(signed_in, "credential", lambda: SimpleNamespace(get_token=lambda _scope: token))
    monkeypatch.setenv("SSL_CERT_FILE", place.local.ca)
    return {"endpoint": place.endpoint, "database": name, "user": "deployer", "administrator": False}


def files(root: Path, props: Props, **named: str) -> Props:
    for name, text in named.items():
        (root / "m").mkdir(exist_ok=True)
        (root / f"m/{name.removeprefix('_')}.sql").write_text(text)
    return {**props, "files": [str(one) for one in find("test", root, ["m"])]}


def login(props: Props, object_id: str, role: str) -> Props:
    return {**props, "login": f"{props['database'][-20:]}-app", "object_id": object_id, "role": role}


def ask(place: Place, props: Props, statement: str) -> list[tuple[object, ...]]:
    with place.connect("deployer", place.admin, props["database"]) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def together(*works: Callable[[], None]) -> None:
    failed: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 -- told below
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []


def test_two_deployments_at_once_apply_each_file_once(place: Place, props: Props, tmp_path: Path) -> None:
    slow = "select pg_sleep(0.3); create table counted as select 1 as one;"
    wanted = files(tmp_path, props, _0001_slow=slow, _0002_next="insert into counted values (2);")
    together(*[lambda: signed_in.migrate(wanted, tmp_path)] * 4)
    assert ask(place, props, "select one from counted order by 1") == [(1,), (2,)]
    assert signed_in.migrated(wanted)


def test_what_ran_before_a_refused_file_stays(place: Place, props: Props, tmp_path: Path) -> None:
    wanted = files(tmp_path, props, _0001_good="create table good ();", _0002_bad="create table bad (;")
    with pytest.raises(MigrationError, match=r"m/0002_bad.sql: PostgreSQL refused it \(at character 19\)"):
        signed_in.migrate(wanted, tmp_path)
    assert not signed_in.migrated(wanted)
    assert ask(place, props, "select path from millrace.migration") == [("m/0001_good.sql",)]


def test_a_file_that_changes_meanwhile_is_not_applied(place: Place, props: Props, tmp_path: Path) -> None:
    wanted = files(tmp_path, props, _0001_one="create table one ();")
    (tmp_path / "m/0001_one.sql").write_text("create table two ();")
    with pytest.raises(MigrationError, match="changed while this ran"):
        signed_in.migrate(wanted, tmp_path)
    assert ask(place, props, "select to_regclass('two')") == [(None,)]


def test_logins_at_once_and_again(place: Place, props: Props) -> None:
    ask(place, props, "create role grouped nologin")
    apps = [{**login(props, place.local.identity(f"app{at}"), "grouped"), "login": f"app-{at}"} for at in range(4)]
    together(*[lambda app=app: signed_in.admit(app) for app in [*apps, *apps]])
    for app in apps:
        assert signed_in.admitted(app)
        with place.connect(app["login"], app["object_id"], props["database"]) as connection:
            assert connection.execute("select pg_has_role('grouped', 'usage')").fetchone() == (True,)


def test_who_has_no_role_of_this_database_may_not_connect(place: Place, props: Props) -> None:
    ask(place, props, "create role inside nologin")
    signed_in.admit(login(props, place.local.identity("inside"), "inside"))
    with pytest.raises(Exception, match="permission denied for database"):
        place.connect("worker", place.worker, props["database"])


def test_an_identity_made_anew_gets_the_login_and_the_old_one_loses_it(place: Place, props: Props) -> None:
    ask(place, props, "create role renewed nologin; create role moved nologin")
    before, after = (login(props, place.local.identity(name), "renewed") for name in ("before", "after"))
    signed_in.admit(before)
    signed_in.admit(after)
    place.connect(after["login"], after["object_id"], props["database"]).close()
    with pytest.raises(Exception, match="password authentication failed"):
        place.connect(before["login"], before["object_id"], props["database"])
    moved = {**after, "role": "moved"}
    signed_in.admit(moved)
    assert signed_in.admitted(moved)
    assert not signed_in.admitted(after)
    signed_in.dismiss(moved)
    signed_in.dismiss(moved)
    assert not signed_in.admitted(moved)


def test_an_operator_is_the_administrator_in_a_group(place: Place, props: Props) -> None:
    ask(place, props, "create role operators nologin")
    wanted = {**login(props, place.admin, "operators"), "login": "deployer", "administrator": True}
    signed_in.admit(wanted)
    member = "select pg_has_role('deployer', 'operators', 'usage')"
    assert ask(place, props, member) == [(True,)]
    signed_in.dismiss(wanted)
    assert ask(place, props, member) == [(False,)]
    place.connect("deployer", place.admin, "postgres").close()


def test_a_group_that_no_migration_made(place: Place, props: Props) -> None:
    with pytest.raises(signed_in.DatabaseError, match=r'role "none" of .*-app must exist, got none; create it'):
        signed_in.admit(login(props, place.local.identity("lost"), "none"))


def test_who_may_not_sign_in_is_told_what_to_do(
    place: Place, props: Props, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = SimpleNamespace(token=place.token(place.worker))
    monkeypatch.setattr(signed_in, "credential", lambda: SimpleNamespace(get_token=lambda _scope: token))
    monkeypatch.setattr(signed_in, "ROLE_WAIT_S", 0)
    monkeypatch.setattr(signed_in, "LOCAL_WAIT_S", 0)
    wanted = files(tmp_path, props, _0001_one="create table one ();")
    assert not signed_in.migrated(wanted)
    with pytest.raises(signed_in.DatabaseError, match="the deployer must be the server's Entra administrator"):
        signed_in.migrate(wanted, tmp_path)
