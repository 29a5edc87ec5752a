"""Two local stacks of one checkout at once: what is done to one is not seen in the other. The second keeps its data,
as production does; then it is let go, and destroyed whole.
"""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from localcloud.control.client import ControlClient
from localcloud.engine.embedded import RunResult, run
from localcloud.engine.provider import Refused
from localcloud.engine.state import State
from tests.e2e.project import Project, living

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Project]]:
    """`local` and `other`, brought up at the same moment."""
    local = Project(tmp_path_factory.mktemp("two") / "project")
    other = local.beside("other")
    try:
        refused = other.run("up", "--json")
        command = "cp Pulumi.local.yaml Pulumi.other.yaml"
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"for another local stack run: {command}" in refused.stderr
        (local.root / "Pulumi.other.yaml").write_text((local.root / "Pulumi.local.yaml").read_text())
        setting(other, "millrace:keepsData", True)
        with ThreadPoolExecutor(2) as together:
            for up in [together.submit(one.up, "--no-sample") for one in (local, other)]:
                up.result()
        yield local, other
    finally:
        local.down()
        other.down()


def setting(project: Project, key: str, value: object) -> None:
    file = project.root / f"Pulumi.{project.stack.stack}.yaml"
    stack = yaml.safe_load(file.read_text())
    stack["config"][key] = value
    file.write_text(yaml.safe_dump(stack))


def seen(project: Project) -> dict[str, object]:
    """All that a user can see of a stack once nothing is in flight, figures that only tell time apart."""
    status = project.settle()
    return {
        "resources": sorted((one.type, one.id) for one in status.resources),
        "endpoints": status.endpoints,
        "queues": sorted((one.name, one.active, one.in_flight, one.dead) for one in status.queues),
        "outputs": project.stack.outputs(),
        "rows": project.count() if table(project) else 0,
        "records": {urn: (one.id, one.inputs) for urn, one in project.stack.records().items()},
    }


def table(project: Project) -> bool:
    return bool([one for one in project.stack.status().resources if one.type.endswith(":operationalinsights:Table")])


def test_they_share_no_name_no_port_and_no_process(stacks: tuple[Project, Project]) -> None:
    local, other = stacks
    ports = [set(json.loads((one.home / "cloud" / "ports.json").read_text()).values()) for one in stacks]
    assert len(ports[0] & ports[1]) == 0 < len(ports[0])
    assert local.processes() & other.processes() == set()
    ids = [{one.id for one in project.stack.status().resources} for project in stacks]
    # Who AWS trusts is one thing a tenant and account, whatever the stack: each cloud here has its own.
    assert {id_.rpartition(":oidc-provider/")[1] for id_ in ids[0] & ids[1]} == {":oidc-provider/"}
    assert local.stack.outputs()["logIngest"]["bucket"] != other.stack.outputs()["logIngest"]["bucket"]


def test_feeding_one_changes_nothing_in_the_other(stacks: tuple[Project, Project], tmp_path: Path) -> None:
    local, other = stacks
    before = seen(other)
    (tmp_path / "mine.json").write_bytes(b'{"whose": "local"}\n{"broken\n')
    local.feed(tmp_path / "mine.json")
    assert [row[1] for row in local.rows("Key = 'mine.json'")] == ['{"whose": "local"}']
    assert len(local.dead_letters()) == 1
    other.settle()
    assert seen(other) == before
    assert other.dead_letters() == []


def test_stopping_one_leaves_the_other_running(stacks: tuple[Project, Project]) -> None:
    local, other = stacks
    before, theirs = seen(other), other.processes()
    assert local.json("down") == {"stopped": True}
    assert living(theirs) == theirs
    assert seen(other) == before
    local.up("--no-sample")


def test_an_edit_reaches_the_stack_that_is_brought_up_and_no_other(stacks: tuple[Project, Project]) -> None:
    local, other = stacks
    before = seen(other)
    local.override(maxInstances=77)
    assert local.up("--no-sample")["resources"]["updated"] == 1
    assert seen(other) == before


def destroyed(project: Project) -> RunResult:
    """A run of a program that declares nothing any more."""
    state = State(project.home / "engine.sqlite")
    try:
        cloud = ControlClient(project.stack.require())
        return run(project.stack.program(), cloud=cloud, state=state, main=lambda: None)
    finally:
        state.close()


def test_what_keeps_data_is_not_destroyed_by_any_way(stacks: tuple[Project, Project]) -> None:
    other = stacks[1]
    before = {(one.type, one.id) for one in other.stack.status().resources}
    protected = {one.name for one in other.stack.records().values() if one.protect}
    assert {"core", "log-ingest", "ingest", "failed", "progress", "vault", "logs", "table", "source"} <= protected
    cloud = ControlClient(other.stack.require())
    for kind in (":StorageAccount", ":Vault", ":Workspace", ":ResourceGroup", ":BlobContainer"):
        held = [one for one in other.stack.records().values() if one.type.endswith(kind) and one.protect]
        for one in held:
            with pytest.raises(Refused, match="ScopeLocked"):
                cloud.delete(one.type, one.id, one.outputs)
    assert {(one.type, one.id) for one in other.stack.status().resources} == before


def test_what_keeps_no_data_is_destroyed_whole(stacks: tuple[Project, Project], tmp_path: Path) -> None:
    local, other = stacks
    before = seen(local)
    (tmp_path / "full.json").write_bytes(b'{"n": 1}\n')
    other.feed(tmp_path / "full.json")  # what is destroyed is not empty
    setting(other, "millrace:keepsData", False)
    counts = other.up("--no-sample")["resources"]
    assert counts["deleted"] == 3, "the locks"
    assert destroyed(other).failures == []
    status = other.stack.status()
    assert (status.resources, status.apps, status.queues) == ([], [], [])
    assert not [one for one in other.stack.records().values() if one.custom]
    assert seen(local) == before


def test_forgetting_one_leaves_the_other(stacks: tuple[Project, Project]) -> None:
    local, other = stacks
    before, ours = seen(local), local.processes()
    assert other.json("reset") == {"removed": True}
    assert not other.home.exists()
    assert living(ours) == ours
    assert seen(local) == before
