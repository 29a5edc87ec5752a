"""The whole program on the local cloud, as a user lives with it: up, feed, edit, kill, down and up again."""

import asyncio
import gzip
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.engine.state import State
from localcloud.outside import log_ingest
from localcloud.supervisor.shapes import Outside
from tests.e2e.project import Project, environ, listening, living
from tests.integration.host.waiting import until
from tests.kept_secrets import PATTERNS, Kept, kept, readable_by_others, spilled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes and sockets through /proc")
PACKAGE, DEPLOYMENT = (f"pulumi-python:dynamic/millrace:{name}" for name in ("Package", "Deployment"))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Any]]:
    """A fresh copy after its first `./millrace up`, and what that said."""
    project = Project(tmp_path_factory.mktemp("e2e") / "a project")
    try:
        yield project, project.up()
    finally:
        project.down()


@pytest.fixture
def cloud(first: tuple[Project, Any]) -> Project:
    """The same, running and idle, whatever the test before did."""
    project = first[0]
    if project.stack.running() is None:
        project.up()
    project.settle()
    return project


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """urn → type of resources whose inputs differ between two runs, components and pickled code apart."""

    def plain(record: Any) -> Any:
        return {key: value for key, value in record.inputs.items() if key != "__provider"} if record else None

    urns = {urn for urn in before.keys() | after.keys() if plain(before.get(urn)) != plain(after.get(urn))}
    records = {urn: after.get(urn) or before[urn] for urn in urns}
    return {urn: record.type for urn, record in records.items() if record.custom}


def test_the_sample_comes_out_as_it_was_made(first: tuple[Project, Any]) -> None:
    project, report = first
    expected, result = log_ingest.expected(), report["systems"]["log_ingest"]
    assert result["state"] == "idle"
    assert (result["in"], result["out"], result["dead"]) == (
        expected.records_in,
        expected.records_out,
        expected.records_dead,
    )
    assert report["engine"] == "embedded"
    assert report["resources"]["created"] == sum(project.resources().values())
    services = {"s3", "sqs", "sts", "identity", "blob", "queue", "logs", "vault", "ca_file"}
    assert services <= report["endpoints"].keys()


def test_every_record_of_the_sample_is_one_row_and_its_further_parts(cloud: Project) -> None:
    bucket = cloud.stack.outputs()["logIngest"]["bucket"]
    sample = " or ".join(f"Key like '{folder}/%'" for folder in ("logs", "odd", "faulty"))
    of_sample = f"Bucket_Name = '{bucket}' and ({sample})"
    counts = "count(*), count(distinct Record_Id), sum(Part = 1), count(distinct Record_Id || '/' || Part)"
    (figures,) = cloud.stack.query(f"select {counts} from Code42Logs_CL where {of_sample}").rows  # noqa: S608
    rows, records, first_parts, different = figures
    assert records == first_parts == log_ingest.expected().records_out
    assert rows == different > records


def test_a_second_up_changes_nothing(cloud: Project) -> None:
    before = cloud.stack.records()
    report = cloud.up()
    counts = report["resources"]
    assert counts == {"created": 0, "updated": 0, "deleted": 0, "unchanged": sum(cloud.resources().values())}
    assert changed(before, cloud.stack.records()) == {}
    assert {urn: one.id for urn, one in cloud.stack.records().items()} == {urn: one.id for urn, one in before.items()}
    assert report["systems"]["log_ingest"]["in"] == log_ingest.expected().records_in


def test_an_edited_handler_is_one_new_package_and_one_deployment(cloud: Project) -> None:
    before = cloud.stack.records()
    handler = cloud.root / "handlers" / "log_ingest" / "ingest.py"
    handler.write_text(handler.read_text() + "\n# edited\n")
    counts = cloud.up()["resources"]
    assert (counts["created"], counts["updated"], counts["deleted"]) == (0, 2, 0)
    assert sorted(changed(before, cloud.stack.records()).values()) == [DEPLOYMENT, PACKAGE]
    assert cloud.stack.status().problems == {}


def test_what_the_program_no_longer_declares_is_gone_from_the_cloud(cloud: Project) -> None:
    stack = cloud.root / "stacks" / "log_ingest.py"
    text = stack.read_text()
    line = '    failed = Container("failed", ContainerArgs(account=data), opts=system.child)\n'
    assert line in text
    stack.write_text(text.replace(line, line + line.replace('"failed"', '"extra"').replace("failed =", "extra =")))
    assert cloud.up()["resources"]["created"] == 1
    (declared,) = [record for record in cloud.stack.records().values() if record.id.endswith("/containers/extra")]
    assert declared.id in {one.id for one in cloud.stack.status().resources}
    stack.write_text(text)
    assert cloud.up()["resources"]["deleted"] == 1
    assert declared.id not in {one.id for one in cloud.stack.status().resources}
    assert declared.urn not in cloud.stack.records()


def test_odd_files_end_as_promised(cloud: Project, tmp_path: Path) -> None:
    folder = tmp_path / "strange"
    folder.mkdir()
    whole = b'{"n": 1}\n{"n": 2}\n'
    good = {
        "with space.json": whole,
        "plus+plus.json": whole,
        "percent%2Bplus.json": whole,
        "ключ-資料.json": whole,
        "utf-16.json": whole.decode().encode("utf-16"),
        "quoted'\"name.json": whole,
    }
    stored = gzip.compress(b"".join(b'{"line": %d}\n' % number for number in range(20_000)), compresslevel=9, mtime=0)
    bad = {"cut.gz": stored[: len(stored) // 2], "no-mark.json": whole.decode().encode("utf-16-le")}
    for name, body in (good | bad).items():
        (folder / name).write_bytes(body)
    cloud.feed(folder)
    rows = cloud.rows("Key like 'strange/%'")
    for name in good:
        assert [row[1:] for row in rows if row[0] == f"strange/{name}"] == [['{"n": 1}', 1], ['{"n": 2}', 1]], name
    cut = [row[1] for row in rows if row[0] == "strange/cut.gz"]
    assert 0 < len(cut) < 20_000
    assert sorted(cut) == sorted(json.dumps({"line": number}) for number in range(len(cut)))
    assert not [row for row in rows if row[0] == "strange/no-mark.json"]
    letters = {one["key"]: one["entries"] for one in cloud.dead_letters() if one.get("key", "").startswith("strange/")}
    assert set(letters) == {"strange/cut.gz", "strange/no-mark.json"}
    assert [entry["scope"] for entry in letters["strange/cut.gz"]] == ["file"]
    assert "not UTF-8" in letters["strange/no-mark.json"][0]["reason"]


def test_messages_of_every_form_are_understood_and_strangers_are_kept_with_their_reason(
    cloud: Project, tmp_path: Path
) -> None:
    bucket = cloud.stack.outputs()["logIngest"]["bucket"]
    (tmp_path / "by-hand.json").write_bytes(b'{"by": "hand"}\n')
    cloud.feed(tmp_path / "by-hand.json")
    document = {"Bucket Name": bucket, "Object Key": "nowhere/gone.json", "Event Time": "2025-10-31T10:00:00Z"}
    wrapped = {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": json.dumps(document)}
    bodies = {
        "document": json.dumps(document),
        "wrapped": json.dumps(wrapped),
        "unknown": '{"hello": "stranger"}',
        "text": "no JSON at all",
    }
    for name, body in bodies.items():
        (tmp_path / f"{name}.sqs.json").write_text(body)
    (tmp_path / "by-hand.json").unlink()
    before = len(cloud.rows())
    cloud.feed(*sorted(tmp_path.iterdir()))
    dead = {one["body"]: one["reason"] for one in cloud.dead_letters() if "body" in one}
    assert "unknown form" in dead[bodies["unknown"]]
    assert "not JSON" in dead[bodies["text"]]
    assert bodies["document"] not in dead
    assert bodies["wrapped"] not in dead
    assert len(cloud.rows()) == before


def test_a_message_in_the_documents_form_brings_its_file(cloud: Project, tmp_path: Path) -> None:
    import boto3

    supervisor, endpoints = cloud.stack.require(), cloud.stack.status().endpoints
    keys = supervisor.call("GET", "/outside", None, Outside)
    bucket = cloud.stack.outputs()["logIngest"]["bucket"]
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoints["s3"],
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name=keys.region,
        verify=endpoints["ca_file"],
    )
    key = "by hand/a+b %2B ü.json"
    s3.put_object(Bucket=bucket, Key=key, Body=b'{"first": true}\n')
    cloud.stack.fire_timers("log_ingest")
    cloud.settle()
    assert cloud.rows(f"Key = '{key}'") == [[key, '{"first": true}', 1]]
    body = {"Bucket Name": bucket, "Object Key": key, "Event Time": "2025-10-31T10:00:00Z"}
    (tmp_path / "again.sqs.json").write_text(json.dumps(body))
    cloud.feed(tmp_path / "again.sqs.json")
    assert cloud.rows(f"Key = '{key}'") == [[key, '{"first": true}', 1]]  # told of twice, read once


def test_down_leaves_no_process_and_up_finds_all_data(cloud: Project) -> None:
    rows, letters, processes = cloud.count(), len(cloud.dead_letters()), cloud.processes()
    assert len(processes) >= 3  # the supervisor, Azurite, an instance of the app
    assert cloud.json("down") == {"stopped": True}
    assert living(processes) == set()
    assert cloud.json("down") == {"stopped": False}
    report = cloud.up()
    assert report["resources"]["unchanged"] == sum(cloud.resources().values())
    assert (cloud.count(), len(cloud.dead_letters())) == (rows, letters)


def test_a_second_up_at_the_same_time_is_refused_and_says_who_holds_the_stack(cloud: Project) -> None:
    state = State(cloud.home / "engine.sqlite")
    try:
        with state.only_writer():
            refused = cloud.run("up", "--json")
    finally:
        state.close()
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert f"another run (process {os.getpid()}) is changing this stack; wait for it to end" in refused.stderr


def test_only_this_machine_can_reach_it(cloud: Project) -> None:
    found = listening(cloud.processes())
    assert found
    assert found <= {"0100007F", "00000000000000000000000001000000"}, "something listens beyond 127.0.0.1 and ::1"


def test_no_secret_lies_where_people_look(cloud: Project) -> None:
    secret = "what-nobody-else-may-read"
    put = cloud.run("secret", "outside-key", "--json", given=secret)
    assert put.returncode == 0, put.stderr
    held = kept(cloud.home)
    kinds = {one.what.split(" ")[0] for one in held if one.text} | {one.text.decode() for one in held}
    assert {secret, "cloud/identity/token.key", "storage"} <= kinds | {one.what for one in held}
    headers = (environ(pid, "IDENTITY_HEADER") for pid in cloud.processes())
    held += [Kept("an app's identity header", header.encode(), "nowhere") for header in headers if header]
    assert spilled(cloud.home, held) == []
    assert readable_by_others(cloud.home, held) == []
    commands = (["outputs"], ["status"], ["preview"], ["logs"])
    texts = {" ".join(command): json.dumps(cloud.json(*command)).encode() for command in commands}
    texts |= {f"command line of {pid}": Path(f"/proc/{pid}/cmdline").read_bytes() for pid in living(cloud.processes())}
    for name, said in texts.items():
        assert [one.what for one in held if one.text in said] == [], name
        assert [what for what, pattern in PATTERNS.items() if re.search(pattern, said)] == [], name


def test_an_app_sees_its_settings_and_the_platforms_and_nothing_of_the_users_shell(cloud: Project) -> None:
    cloud.stack.fire_timers("log_ingest")  # wakes it
    asyncio.run(until(lambda: any(one.state == "ready" for one in cloud.stack.status().apps[0].instances)))
    (app,) = cloud.stack.status().apps
    declared = {record.type: record for record in cloud.stack.records().values()}["azure-native:web:WebApp"]
    settings = {item["name"]: item["value"] for item in declared.inputs["siteConfig"]["appSettings"]}
    page = (cloud.root / "docs" / "local-cloud.md").read_text().partition("## What a handler's process sees")[2]
    listed = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", page.partition("\n## ")[0]))
    for instance in app.instances:
        entries = Path(f"/proc/{instance.pid}/environ").read_text().split("\0")
        seen = dict(entry.partition("=")[::2] for entry in entries if entry)
        assert set(seen) == set(settings) | listed
        assert {name: seen[name] for name in settings} == settings


def test_what_is_private_is_its_owner_s_only(cloud: Project) -> None:
    assert cloud.home.stat().st_mode & 0o777 == 0o700
    public = {"ca.pem", "start.lock", "engine", "engine.lock"}
    code = {"samples", *(folder.name for folder in (cloud.home / "apps").glob("*/package-*"))}
    files = [file for file in cloud.home.rglob("*") if file.is_file() and not code & set(file.parts)]
    assert len(files) > 20
    assert [file for file in files if file.stat().st_mode & 0o077 and file.name not in public] == []
    folders = [folder for folder in cloud.home.rglob("*") if folder.is_dir() and not code & set(folder.parts)]
    assert [folder for folder in folders if folder.stat().st_mode & 0o077] == []


def test_what_a_file_says_cannot_draw_on_a_terminal_or_forge_a_line(cloud: Project, tmp_path: Path) -> None:
    nasty = "\x1b[2J\x1b]0;owned\x07\u202e[/red][link=x]\r\n\u2028"
    canary = "CANARY" + "7f3a"
    name = tmp_path / "odd\x1b[31m\u202e[red].json"
    name.write_bytes(f'{{"a": "{canary}"}}\n<{nasty} {"y" * 200}{canary}\n'.encode())
    cloud.feed(name)
    where = [cloud.home / "supervisor.log", *(cloud.home / "logs").iterdir()]
    for text in (*(file.read_bytes() for file in where), json.dumps(cloud.json("status")).encode()):
        assert canary.encode() not in text
        assert b"\x1b" not in text
    for command in (["logs", "-n", "20"], ["query", "select Key, Raw_Data from Code42Logs_CL"], ["status"]):
        ran = cloud.run(*command)
        assert ran.returncode == 0, ran.stderr
        assert all(char.isprintable() or char == "\n" for char in ran.stdout), command
    for letter in cloud.dead_letters():
        assert canary not in json.dumps(letter)


def test_commands_that_need_the_cloud_say_so_when_it_is_down(cloud: Project) -> None:
    cloud.down()
    for command in (["status"], ["wait"], ["query", "select 1"], ["feed", "log_ingest", "--sample"]):
        ran = cloud.run(*command)
        assert ran.returncode == 1, command
        assert "is down; start it with ./millrace up" in ran.stderr
