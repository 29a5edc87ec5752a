"""A slice of a campaign, as a person runs it: lost answers, short objects, doubled messages, expired tokens and killed
processes at once. The long campaign is `./millrace chaos log_ingest`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

SCHEDULES = """
- name: lost-and-killed
  faults:
    - {kind: cut, service: logs, operation: Upload, every: 7, when: after}
    - {kind: kill, service: logs, operation: Upload, every: 15, most: 1, when: after}
    - {kind: cut, service: blob, operation: PutBlob, every: 9, when: after}
- name: short-and-twice
  faults:
    - {kind: corrupt, service: s3, operation: GetObject, every: 3}
    - {kind: duplicate, service: sqs, operation: ReceiveMessage, every: 2}
    - {kind: expire, service: s3, operation: GetObject, every: 10}
    - {kind: throttle, service: sts, every: 1, most: 1}
    - {kind: refuse, service: logs, operation: Upload, every: 25}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path / "project")
    yield made
    made.down()


def test_no_record_is_lost_and_every_doubled_row_is_explained(project: Project, tmp_path: Path) -> None:
    (tmp_path / "weather.yaml").write_text(SCHEDULES)
    report = project.json("chaos", "log_ingest", "--schedule", str(tmp_path / "weather.yaml"), "--runs", "2")
    killed, short = report["runs"]
    assert (killed["schedule"], short["schedule"]) == ("lost-and-killed", "short-and-twice")
    assert killed["fired"]["kill"] == 1
    assert killed["fired"]["cut"] > 2
    assert {"corrupt", "duplicate", "expire"} <= short["fired"].keys()
    for run in (killed, short):
        assert run["wrong"] == []
        assert (run["lost"], run["doubled"], run["died"]) == (0, 0, {})
        assert run["rows_out"] + run["dead"] == run["rows_in"] > 500
    assert killed["doubled_unanswered"] > 0
    assert short["doubled_unanswered"] == short["doubled_killed"] == 0
    assert list((project.root / ".millrace").glob("chaos-*")) == []
    assert not project.home.exists()  # the user's own local cloud was not touched
