"""The other ways to run log_ingest: the Consumption plan, and the legacy collector whose key a person puts into the
vault. Both at once on one local cloud, then nothing left of it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project, living

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("variants") / "project")
    project.override(plan="consumption", maxInstances=1)
    try:
        project.up("--no-sample")
        yield project
    finally:
        project.down()


def test_consumption_runs_the_zip_that_its_setting_names(cloud: Project, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b'{"plan": "Y1"}\n')
    cloud.feed(tmp_path / "plan.json")
    assert [row[1] for row in cloud.rows("Key = 'plan.json'")] == ['{"plan": "Y1"}']
    (plan,) = [one for one in cloud.stack.records().values() if one.type.endswith(":AppServicePlan")]
    assert plan.inputs["sku"]["name"] == "Y1"


def test_an_edited_handler_runs_there_too(cloud: Project) -> None:
    cloud.edit("handlers/log_ingest/ingest.py", '"""One run."""', '"""One run, edited."""')
    before = cloud.stack.records()
    counts = cloud.up("--no-sample")["resources"]
    assert (counts["created"], counts["deleted"]) == (0, 0)
    changed = [urn for urn, one in cloud.stack.records().items() if one.custom and one.inputs != before[urn].inputs]
    # On this plan a setting names the zip, so the app changes with it.
    assert sorted(urn.rsplit("::", 2)[1].rsplit(":", 1)[-1] for urn in changed) == ["Deployment", "Package", "WebApp"]
    (running,) = cloud.home.glob("apps/*/package-*/handlers/log_ingest/ingest.py")
    assert "One run, edited." in running.read_text()


def test_the_legacy_collector_takes_rows_with_the_key_from_the_vault(cloud: Project, tmp_path: Path) -> None:
    cloud.override(upload="data_collector")
    cloud.up("--no-sample")
    assert not [one for one in cloud.stack.status().resources if one.type.endswith(":DataCollectionRule")]
    cloud.json("secret", "log-collector-key", "--workspace-key")
    (tmp_path / "legacy.json").write_bytes(b'{"by": "key"}\n{"by": "key too"}\n')
    cloud.feed(tmp_path / "legacy.json")
    found = cloud.stack.query("select * from Code42Logs_CL where Key_s = 'legacy.json'")
    texts = [row[found.columns.index("Raw_Data_s")] for row in found.rows]
    assert sorted(texts) == ['{"by": "key too"}', '{"by": "key"}']
    key = (next(cloud.home.rglob("workspace-*.key"))).read_text().strip()
    places = [*cloud.home.glob("*.sqlite*"), *(cloud.home / "logs").iterdir(), cloud.home / "supervisor.log"]
    assert not [file for file in places if key.encode() in file.read_bytes()]
    assert key not in str(cloud.json("outputs")) + str(cloud.json("preview")) + str(cloud.json("status"))


def test_reset_leaves_nothing(cloud: Project) -> None:
    if cloud.stack.running() is None:
        cloud.up("--no-sample")
    processes = cloud.processes()
    assert cloud.json("reset") == {"removed": True}
    assert living(processes) == set()
    assert not cloud.home.exists()
    assert cloud.json("reset") == {"removed": False}
