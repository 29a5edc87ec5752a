"""A slice of each system's campaign, as a person runs it: lost answers, short objects, doubled messages, expired
tokens and killed processes at once. The long campaigns are `./millrace chaos log_ingest` and `… alma_analytics`.
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

ALMA = """
- name: lost-and-killed
  given: {deleted: 3, changed: 3, remote: {repeat_page: 2, repeat_times: 1}, day_left: 60}
  faults:
    - {kind: kill, process: alma-updater, service: alma, operation: PutItem, every: 9, most: 1, when: after}
    - {kind: cut, service: alma, operation: PutItem, every: 11, most: 3, when: after}
    - {kind: duplicate, service: queue, operation: PutMessage, every: 2}
    - {kind: cut, service: mail, operation: SendEmail, every: 1, most: 1, when: after}
- name: refused
  may_fail: "must have no DOCTYPE"
  given: {audit: {xml: external, xml_page: 2}}
  faults:
    - {kind: refuse, service: blob, operation: PutBlob, every: 3, most: 2}
    - {kind: cut, service: queue, operation: DeleteMessage, every: 3, when: after}
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
        counts = run["counts"]
        assert (counts["lost"], counts["doubled"], counts["died"]) == (0, 0, 0)
        assert counts["rows_out"] + counts["dead"] == counts["rows_in"] > 500
    assert killed["counts"]["doubled_unanswered"] > 0
    assert short["counts"]["doubled_unanswered"] == short["counts"]["doubled_killed"] == 0
    assert list((project.root / ".millrace").glob("chaos-*")) == []
    assert not project.home.exists()  # the user's own local cloud was not touched


def test_each_record_of_alma_is_updated_once_or_listed_and_people_are_told_once(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "weather.yaml").write_text(ALMA)
    report = project.json("chaos", "alma_analytics", "--schedule", str(tmp_path / "weather.yaml"), "--runs", "2")
    for run in report["runs"]:
        counts = run["counts"]
        assert run["wrong"] == []
        assert (counts["lost"], counts["doubled"], counts["letters"]) == (0, 0, 1)
    killed, refused = report["runs"]
    assert (killed["counts"]["failed"], refused["counts"]["failed"]) == (0, 1)
    assert killed["fired"]["kill"] == 1
    assert {"cut", "duplicate"} <= killed["fired"].keys()
    assert killed["counts"]["wanted"] == killed["counts"]["updated"] + killed["counts"]["listed"] > 50
    assert killed["counts"]["listed"] > 3
    assert "DOCTYPE" in refused["notes"][0]
    assert not project.home.exists()
