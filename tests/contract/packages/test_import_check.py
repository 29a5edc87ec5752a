"""The check before a package gets its name: nothing of an earlier one may hide what is wrong with this one."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from components.packaging import import_check
from components.packaging.errors import PackageError
from components.packaging.import_check import Imports, importing


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Third-party code of one module."""
    folder = tmp_path / "entry" / "site-packages"
    folder.mkdir(parents=True)
    (folder / "third.py").write_text("NAME = 1\n")
    return folder


def check(site: Path, files: Mapping[str, str], *modules: str) -> None:
    with importing(
        "app", Imports(whole=modules or ("step",)), {name: text.encode() for name, text in files.items()}, site
    ):
        pass


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import third\nthird.NAMES\n", r"AttributeError: .* \(step.py, line 2\)"),
        ("from third import NAMES\n", r"ImportError: cannot import name 'NAMES' .* \(step.py, line 1\)"),
        ("import pytest\n", r"ModuleNotFoundError: .*pytest.* \(step.py, line 1\)"),
        ("import os\nos.environ['PATH']\n", r"KeyError: 'PATH'"),
        ("def f(:\n", "SyntaxError"),
        ("raise SystemExit(0)\n", "SystemExit"),
        ("import os\nos._exit(4)\n", "its modules must be importable"),
    ],
)
def test_what_a_worker_could_not_import_is_refused_also_after_it_was_right(site: Path, text: str, reason: str) -> None:
    for _ in range(2):
        check(site, {"step.py": "from third import NAME\n"})
        with pytest.raises(PackageError, match=reason):
            check(site, {"step.py": text})


def test_two_edits_of_one_second_and_one_size_are_two(site: Path) -> None:
    for number in range(6):
        good, bad = f"assert {number} < 10\n", f"assert {number} > 10\n"
        check(site, {"step.py": good})
        with pytest.raises(PackageError, match="AssertionError"):
            check(site, {"step.py": bad})


def test_what_is_gone_from_the_package_cannot_be_imported(site: Path) -> None:
    check(site, {"step.py": "import old.part, note", "old/__init__.py": "", "old/part.py": "", "note.py": ""})
    for text in ("import old", "import note"):
        with pytest.raises(PackageError, match="ModuleNotFoundError"):
            check(site, {"step.py": text})
    check(site, {"step.py": "import note.part", "note/__init__.py": "", "note/part.py": ""})
    with pytest.raises(PackageError, match="ModuleNotFoundError"):
        check(site, {"step.py": "import note.part", "note.py": ""})


def test_a_file_that_a_handler_wrote_is_not_there_the_next_time(site: Path) -> None:
    wrote = "from pathlib import Path\nPath('left.py').write_text('')\nPath('data.txt').write_text('changed')\n"
    check(site, {"step.py": wrote, "data.txt": "as packed"})
    read = "from pathlib import Path\nassert Path('data.txt').read_text() == 'as packed'\nimport left\n"
    with pytest.raises(PackageError, match="No module named 'left'"):
        check(site, {"step.py": read, "data.txt": "as packed"})


@pytest.mark.parametrize(("daemon", "refused"), [(True, False), (False, True)])
def test_work_left_running_is_waited_for(
    site: Path, monkeypatch: pytest.MonkeyPatch, daemon: bool, refused: bool
) -> None:
    monkeypatch.setattr(import_check, "_LIMIT_S", 2)
    text = f"import threading\nthreading.Thread(target=threading.Event().wait, daemon={daemon}).start()\n"
    if refused:
        with pytest.raises(PackageError, match=r"within 2 s, got still running; do no work"):
            check(site, {"step.py": text})
    else:
        check(site, {"step.py": text})


def test_the_interpreter_ends_with_the_block(site: Path, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    os.mkfifo(told)
    text = f"import os, threading\nopen({str(told)!r}, 'w').write(str(os.getpid()))\nthreading.Event().wait()\n"
    pids: list[int] = []

    def packing() -> None:
        with importing("app", Imports(whole=["step"]), {"step.py": text.encode()}, site):
            pids.append(int(told.read_text()))
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        packing()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_two_at_once_have_a_folder_each_and_leave_one(site: Path) -> None:
    failed: list[str] = []

    def one(number: int) -> None:
        for _ in range(5):
            try:
                check(
                    site, {"step.py": f"import part\nassert part.NUMBER == {number}\n", "part.py": f"NUMBER = {number}"}
                )
            except PackageError as error:
                failed.append(str(error))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [path.name for path in (site.parent / "checked").iterdir()] == ["app"]


class Project:
    """A platform's side that says in a file outside when it was imported, and a step that it loads."""

    def __init__(self, site: Path, told: Path) -> None:
        self.site, self.told = site, told
        self.imports = Imports(
            whole=("platform_side", "step"), steps=("step", "loader:load"), platform=frozenset({"platform_side.py"})
        )
        self.files = {
            "platform_side.py": f"import colorsys, third\nopen({str(told)!r}, 'a').write('x')\n",
            "loader.py": "import step\ndef load(manifest): assert step.handle and manifest.read_text()\n",
            "manifest.json": "{}",
            "step.py": "handle = 1\n",
        }

    def check(self, **edits: str) -> int:
        """How often the platform's side has been imported now."""
        self.files |= {f"{name}.py": text for name, text in edits.items()}
        with importing("app", self.imports, {name: text.encode() for name, text in self.files.items()}, self.site):
            pass
        return self.times

    @property
    def times(self) -> int:
        return len(self.told.read_text())


@pytest.fixture
def project(site: Path, tmp_path: Path) -> Project:
    found = Project(site, tmp_path / "told")
    assert found.check() == 1
    return found


def test_the_platforms_side_is_imported_again_when_it_changed_and_not_when_a_step_did(project: Project) -> None:
    assert project.check(step="handle = 2\n") == 1
    assert project.check(other="") == 1
    assert project.check(platform_side=project.files["platform_side.py"] + "# edited\n") == 2
    assert project.check(step="handle = 3\n") == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("from third import NAMES\n", r"step must be importable .* cannot import name 'NAMES' .* \(step.py, line 1\)"),
        ("handle = 0\n", r"AssertionError"),
        ("raise ValueError('no')\n", r"ValueError: no \(step.py, line 1\)"),
    ],
)
def test_a_step_that_fails_is_refused_by_the_whole_check_until_it_is_mended(
    project: Project, text: str, reason: str
) -> None:
    project.imports = replace(project.imports, whole=("platform_side", "step", "loader:load"))
    for times in (2, 3):
        with pytest.raises(PackageError, match=reason):
            project.check(step=text)
        assert project.times == times
    assert project.check(step="handle = 4\n") == 4
    assert project.check(step="handle = 5\n") == 4


def test_a_step_that_needs_the_platforms_side_gets_it(project: Project) -> None:
    assert project.check(step="import sys\nassert 'colorsys' in sys.modules\nhandle = 2\n") == 2


def test_what_another_interpreter_has_passed_does_not_count(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_check, "_SAME", b"another")
    assert project.check(step="handle = 2\n") == 2
