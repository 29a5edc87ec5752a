"""Parts of the cloud end in the middle of work, in order or by SIGKILL: it goes on where it was, nothing is lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from localcloud.control import address
from tests.e2e.project import Project, living
from tests.integration.host.waiting import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
    pytest.mark.timeout(240),
]
FILES, LINES = 30, 400


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Messages of a worker that died come back after 5 s here, not after 6 min."""
    project = Project(tmp_path_factory.mktemp("killed") / "project")
    project.edit("stacks/log_ingest.py", "VISIBILITY_S = 360", "VISIBILITY_S = 5")
    try:
        project.up("--no-sample")
        yield project
    finally:
        project.down()


def kill_the_supervisor(cloud: Project) -> None:
    running, processes = address.read(cloud.home), cloud.processes()
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    counts = cloud.up("--no-sample")["resources"]
    assert (counts["created"], counts["updated"], counts["deleted"]) == (0, 0, 0)
    assert living(processes) == set()


def kill_the_worker(cloud: Project) -> None:
    pids: list[int] = []

    def running() -> bool:  # it may have been asleep
        pids[:] = [one.pid for app in cloud.stack.status().apps for one in app.instances if one.pid]
        return bool(pids)

    asyncio.run(until(running))
    os.kill(pids[0], signal.SIGKILL)


def down_and_up(cloud: Project) -> None:
    processes = cloud.processes()
    cloud.json("down")
    assert living(processes) == set()
    cloud.up("--no-sample")


@pytest.mark.parametrize("end", [kill_the_supervisor, kill_the_worker, down_and_up])
def test_nothing_is_lost(cloud: Project, tmp_path: Path, end: Callable[[Project], None]) -> None:
    folder = tmp_path / end.__name__
    folder.mkdir()
    for file in range(FILES):
        line = f'{{"by": "{end.__name__}", "of": {file}, "n": %d}}\n'
        (folder / f"{file}.json").write_text("".join(line % number for number in range(LINES)))
    cloud.json("feed", "log_ingest", str(folder))
    end(cloud)
    cloud.settle()
    sql = "select count(distinct Record_Id), count(distinct Raw_Data) from Code42Logs_CL where Key like ?"
    (figures,) = cloud.stack.query(sql.replace("?", f"'{end.__name__}/%'")).rows
    assert figures == [FILES * LINES, FILES * LINES]
    assert cloud.dead_letters() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room, where `.millrace` lies."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=230m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no right to mount a small file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_named_and_everything_goes_on_when_there_is_room(tmp_path: Path, small_disk: Path) -> None:
    project = Project(tmp_path / "project")
    (project.root / ".millrace").symlink_to(small_disk)
    project.edit("stacks/log_ingest.py", "VISIBILITY_S = 360", "VISIBILITY_S = 5")
    ballast, file = small_disk / "ballast", tmp_path / "lines.json"
    file.write_text("".join(f'{{"n": {number}}}\n' for number in range(LINES)))
    try:
        project.up("--no-sample")
        project.feed(file)
        fill(ballast)
        refused = project.run("feed", "log_ingest", str(file))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "MB free" in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr
        ballast.unlink()
        project.feed(file)
        assert project.stack.status().problems == {} or "disk" in project.stack.status().problems
        (figures,) = project.stack.query(
            "select count(*), count(distinct Record_Id), count(distinct Raw_Data) from Code42Logs_CL"
        ).rows
        assert figures == [2 * LINES, 2 * LINES, LINES]  # the same file twice is two versions
    finally:
        project.down()


def fill(file: Path) -> None:
    """Takes all the room there is."""
    with file.open("wb", buffering=0) as writer:
        for block in (bytes(1 << 20), bytes(1 << 12)):
            with suppress(OSError):
                while writer.write(block) == len(block):
                    pass
