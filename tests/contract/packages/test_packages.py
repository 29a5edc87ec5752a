"""What every package promises: exact contents, equal bytes, and that Microsoft's own worker takes it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.packaging.archive import unpack
from components.packaging.builder import BuiltPackage, PackagePlan, build, plan
from components.packaging.errors import PackageError
from components.packaging.explain import explain
from components.packaging.manifest import App, Function, TimerTrigger
from components.packaging.target import Target
from tests.contract.packages.project import FILES, READER, REPOSITORY, TICKER, write

LOCAL = Target.local()
INGEST = App(
    name="log-ingest",
    system="log_ingest",
    functions=(
        Function(name="ingest", run="handlers.log_ingest.ingest", trigger=TimerTrigger(schedule="%INGEST_SCHEDULE%")),
    ),
)
TICK = {"function": "tick", "type": "json", "data": '{"IsPastDue": false, "Schedule": {}, "ScheduleStatus": {}}'}


def made(root: Path, out: Path, app: App = TICKER, **options: Any) -> tuple[PackagePlan, BuiltPackage]:
    planned = plan(app, root=root, target=LOCAL)
    return planned, build(planned, out, progress=lambda _: None, **options)


def test_a_package_holds_exactly_its_closure_and_its_pins(tmp_path: Path) -> None:
    planned, built = made(write(tmp_path / "p"), tmp_path / "out")
    with zipfile.ZipFile(built.path) as archive:
        names = archive.namelist()
        entries = archive.infolist()
    own = [name for name in names if not name.startswith(".python_packages/")]
    assert own == [
        "core/__init__.py",
        "core/clocks/__init__.py",
        "core/clocks/data/cities.json",
        "core/clocks/schema.sql",
        "core/clocks/words.py",
        "core/runtime/__init__.py",
        "core/runtime/functions.py",
        "function_app.py",
        "handlers/__init__.py",
        "handlers/clock/__init__.py",
        "handlers/clock/tick.py",
        "host.json",
        "manifest.json",
    ]
    assert names == sorted(names)
    assert [one.name for one in planned.distributions] == ["azure-functions", "markupsafe", "msgspec", "werkzeug"]
    tops = {name.split("/")[3].partition("-")[0] for name in names if name not in own}
    assert tops == {"azure", "azure_functions", "markupsafe", "msgspec", "werkzeug"}
    stripped = ("RECORD", "INSTALLER", "REQUESTED", ".lock", ".pyc", "direct_url.json", "uv_cache.json")
    assert not [name for name in names if name.endswith(stripped) or "/site-packages/bin/" in name]
    assert any(name.endswith("METADATA") for name in names)
    assert {(one.date_time, one.create_system, one.external_attr >> 16) for one in entries} == {
        ((1980, 1, 1, 0, 0, 0), 3, 0o100644)
    }


def test_the_same_project_gives_the_same_bytes_wherever_it_is_built(tmp_path: Path) -> None:
    _, first = made(write(tmp_path / "here"), tmp_path / "a", cache=tmp_path / "cache-a")
    _, second = made(write(tmp_path / "else" / "where"), tmp_path / "b", cache=tmp_path / "cache-b")
    assert first.path.name == second.path.name
    assert first.path.read_bytes() == second.path.read_bytes()
    assert (first.sha256, first.contents_sha256) == (second.sha256, second.contents_sha256)
    left = [path.name for path in (tmp_path / "cache-a" / "dependencies").iterdir() if path.name.startswith(".")]
    assert left == []


def test_two_builds_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    root = write(tmp_path / "p")
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(made, root, tmp_path / "out", cache=tmp_path / "cache") for _ in range(2)]
        first, second = (run.result()[1] for run in runs)
    assert first.sha256 == second.sha256
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json", ".zip"]
    assert len(list((tmp_path / "cache" / "dependencies").iterdir())) == 1


def test_a_second_build_finds_the_first(tmp_path: Path) -> None:
    root = write(tmp_path / "p")
    _, first = made(root, tmp_path / "out")
    _, second = made(root, tmp_path / "out")
    assert (first.built, second.built) == (True, False)
    assert replace(second, built=True, seconds=first.seconds) == first


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("core/clocks/words.py", {"ticker", "reader"}),
        ("core/clocks/schema.sql", {"ticker", "reader"}),
        ("handlers/clock/tick.py", {"ticker"}),
        ("handlers/clock/read.py", {"reader"}),
        ("core/unused/heavy.py", set()),
        ("core/unused/notes.txt", set()),
    ],
)
def test_an_edit_changes_only_the_packages_whose_closure_holds_it(tmp_path: Path, file: str, changed: set[str]) -> None:
    def digests() -> dict[str, str]:
        return {app.name: plan(app, root=root, target=LOCAL).digest for app in (TICKER, READER)}

    root = write(tmp_path / "p")
    before = digests()
    write(root, {file: FILES[file] + "\n"})
    after = digests()
    assert {name for name in before if before[name] != after[name]} == changed


def test_pins_limits_and_targets_are_inputs_too(tmp_path: Path) -> None:
    root = write(tmp_path / "p")
    digest = plan(TICKER, root=root, target=LOCAL).digest
    assert plan(replace(TICKER, time_limit_s=60), root=root, target=LOCAL).digest != digest
    assert plan(TICKER, root=root, target=Target("3.13")).digest != digest
    pins = root / "handlers" / "requirements.txt"
    pins.write_text(pins.read_text().replace("boto3==", "boto3==9."))
    assert plan(TICKER, root=root, target=LOCAL).digest == digest  # not among this package's
    pins.write_text(pins.read_text().replace("msgspec==", "msgspec==9."))
    assert plan(TICKER, root=root, target=LOCAL).digest != digest


def test_an_import_error_is_found_when_the_package_is_built(tmp_path: Path) -> None:
    wrong = FILES["handlers/clock/tick.py"].replace("import WORD", "import WORDS as WORD")
    root = write(tmp_path / "p", {"handlers/clock/tick.py": wrong})
    with pytest.raises(PackageError, match=r"handlers.clock.tick must be importable .* cannot import name 'WORDS'"):
        made(root, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_pin_without_a_wheel_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    root = write(tmp_path / "p")
    pins = root / "handlers" / "requirements.txt"
    pins.write_text(pins.read_text().replace("msgspec==", "msgspec==9999."))
    with pytest.raises(PackageError, match=r"(?s)every pin must have a wheel .* msgspec"):
        made(root, tmp_path / "out", cache=tmp_path / "cache")
    assert list((tmp_path / "cache" / "dependencies").iterdir()) == []


def test_explain_has_the_keys_of_the_command_line(tmp_path: Path) -> None:
    shown = explain(*made(write(tmp_path / "p"), tmp_path / "out"))
    assert {"app", "path", "sha256", "bytes", "files", "distributions", "built", "seconds"} <= set(shown)
    why = {file["path"]: file["why"] for file in shown["files"]}
    assert why["core/clocks/words.py"] == "handlers.clock.tick → core.clocks.words"
    assert json.loads(json.dumps(shown)) == shown


def test_the_layout_is_what_azures_own_tools_start(tmp_path: Path) -> None:
    _, built = made(write(tmp_path / "p"), tmp_path / "out", READER)
    package = unpack(built.path, tmp_path / "package")
    host = json.loads((package / "host.json").read_text())
    assert host["version"] == "2.0"
    assert set(host) <= {"version", "functionTimeout", "extensionBundle", "extensions", "logging"}
    assert not list(package.glob("*/function.json"))  # v2 model: a folder with one would make it a v1 app
    text = (package / "function_app.py").read_text()
    assert text == (REPOSITORY / "components" / "packaging" / "function_app.py").read_text()
    assert json.loads((package / "manifest.json").read_text())["functions"][0]["trigger"] == {
        "connection": "WORDS",
        "encoding": "none",
        "queue": "words",
        "type": "queue",
    }


def test_microsofts_worker_indexes_and_runs_a_timer(tmp_path: Path, real_worker: Callable[..., dict[str, Any]]) -> None:
    _, built = made(write(tmp_path / "p"), tmp_path / "out")
    answer = real_worker(unpack(built.path, tmp_path / "package"), [TICK | {"metadata": {}}])
    assert answer["init"] is None
    (function,) = answer["functions"]
    assert function["name"] == "tick"
    assert function["bindings"][0]["type"] == "timerTrigger"
    assert function["bindings"][0]["schedule"] == "%TICK_SCHEDULE%"
    assert answer["invocations"] == [None]
    assert '"word": "tick"' in answer["output"]


def test_microsofts_worker_indexes_and_runs_a_queue_function(
    tmp_path: Path, real_worker: Callable[..., dict[str, Any]]
) -> None:
    _, built = made(write(tmp_path / "p"), tmp_path / "out", READER)
    metadata = {"Id": ["string", "7"], "DequeueCount": ["json", "2"]}
    calls = [{"function": "read", "type": "string", "data": body, "metadata": metadata} for body in ("good", "bad")]
    answer = real_worker(unpack(built.path, tmp_path / "package"), calls)
    assert answer["functions"][0]["bindings"][0]["queueName"] == "words"
    assert answer["invocations"] == [None, "ValueError: cannot read this"]
    assert '"body": "good", "tries": 2, "id": "7"' in answer["output"]


def test_microsofts_worker_indexes_the_real_log_ingest(
    tmp_path: Path, real_worker: Callable[..., dict[str, Any]]
) -> None:
    planned, built = made(REPOSITORY, tmp_path / "out", INGEST)
    paths = {file.path for file in planned.files}
    assert "handlers/log_ingest/ingest.py" in paths
    assert not [path for path in paths if path.endswith((".pyc", "requirements.txt", "requirements.in"))]
    assert {"azure-functions", "botocore", "isal", "msgspec"} <= {one.name for one in planned.distributions}
    assert "cryptography" not in {one.name for one in planned.distributions}
    settings = {one.app_setting: "https://127.0.0.1:1/x" for one in planned.handlers[0].settings if one.required}
    call = TICK | {"function": "ingest", "metadata": {}}
    answer = real_worker(unpack(built.path, tmp_path / "package"), [call], {})
    assert answer["init"] is None
    assert [function["name"] for function in answer["functions"]] == ["ingest"]
    missing = answer["invocations"][0]
    assert missing is not None
    assert all(setting in missing for setting in settings)  # read statically = read at run time
