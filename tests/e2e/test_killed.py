"""A supervisor that is killed in the middle of work: the next `up` goes on where it was, and nothing is lost."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.control import address
from tests.e2e.project import Project, living

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
FILES, LINES = 30, 400


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Project]:
    """Messages of a worker that died come back after 5 s here, not after 6 min."""
    project = Project(tmp_path / "project")
    project.edit("stacks/log_ingest.py", "VISIBILITY_S = 360", "VISIBILITY_S = 5")
    try:
        project.up("--no-sample")
        yield project
    finally:
        project.down()


def test_nothing_is_lost_and_no_process_is_left_of_it(cloud: Project, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    for file in range(FILES):
        (folder / f"{file}.json").write_bytes(b"".join(b'{"of": %d, "n": %d}\n' % (file, n) for n in range(LINES)))
    cloud.json("feed", "log_ingest", str(folder))
    running, processes = address.read(cloud.home), cloud.processes()
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    counts = cloud.up("--no-sample")["resources"]
    assert (counts["created"], counts["updated"], counts["deleted"]) == (0, 0, 0)
    assert living(processes) == set()
    cloud.settle()
    (figures,) = cloud.stack.query("select count(distinct Record_Id), count(distinct Raw_Data) from Code42Logs_CL").rows
    assert figures == [FILES * LINES, FILES * LINES]
    assert cloud.dead_letters() == []
