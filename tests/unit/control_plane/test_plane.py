"""The record: what exists is what was accepted, before and after a restart. Real access rules stand behind it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.control.kinds import Locality
from localcloud.control.plane import ControlPlane
from localcloud.control.rules import LOCK
from localcloud.emulators.access import Access
from localcloud.engine.provider import Refused
from tests.components.program import SUBSCRIPTION, TENANCY

GROUPS = "azure-native:resources:ResourceGroup"
ASSIGNMENTS = "azure-native:authorization:RoleAssignment"
SCOPE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g"
READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
READS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"


@contextmanager
def plane(file: Path) -> Iterator[tuple[ControlPlane, Access]]:
    """A control plane just started, with everything it remembers."""
    access = Access()
    cloud: Any = SimpleNamespace(endpoints={}, access=access, buses=SimpleNamespace(put_queue=_accepted))
    apps: Any = None  # no function app occurs here
    opened = ControlPlane(file, Locality(TENANCY, cloud, apps), deployer_id="deployer")
    try:
        asyncio.run(opened.replay())
        yield opened, access
    finally:
        opened.close()


async def _accepted(*_: object) -> None:
    """An emulator that takes everything."""


def grant(plane: ControlPlane, role: str = READER, name: str = "one") -> str:
    inputs = {"scope": SCOPE, "principalId": "worker", "roleDefinitionId": f"/x/{role}", "roleAssignmentName": name}
    return asyncio.run(plane.create(ASSIGNMENTS, "grant", inputs, preview=False)).id


def group(plane: ControlPlane, name: str = "g", **more: Any) -> str:
    inputs = {"resourceGroupName": name, "location": "westeurope", **more}
    return asyncio.run(plane.create(GROUPS, "group", inputs, preview=False)).id


def test_what_is_made_is_remembered_and_made_again_after_a_restart(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite") as (first, access):
        id_ = grant(first)
        assert access.allowed("worker", READS, SCOPE)
        kept = asyncio.run(first.read(ASSIGNMENTS, id_))
    with plane(tmp_path / "control.sqlite") as (second, access):
        assert access.allowed("worker", READS, SCOPE)
        assert asyncio.run(second.read(ASSIGNMENTS, id_)) == kept
        asyncio.run(second.delete(ASSIGNMENTS, id_))
        assert not access.allowed("worker", READS, SCOPE)
    with plane(tmp_path / "control.sqlite") as (third, access):
        assert third.resources() == []
        assert not access.allowed("worker", READS, SCOPE)


def test_what_was_refused_does_not_exist_and_stops_no_later_start(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite") as (first, _):
        with pytest.raises(Refused, match="the role must be one this cloud knows"):
            grant(first, role="no-such-role")
        assert first.resources() == []
    with plane(tmp_path / "control.sqlite") as (second, _):
        assert second.resources() == []


def test_a_change_that_was_refused_leaves_what_was(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite") as (first, _):
        id_ = grant(first)
        before = asyncio.run(first.read(ASSIGNMENTS, id_))
        assert before is not None
        changed = {**(before.inputs or {}), "roleDefinitionId": "/x/no-such-role"}
        with pytest.raises(Refused):
            asyncio.run(first.update(ASSIGNMENTS, id_, {}, changed, preview=False))
        assert asyncio.run(first.read(ASSIGNMENTS, id_)) == before
    with plane(tmp_path / "control.sqlite") as (_, access):
        assert access.allowed("worker", READS, SCOPE)


def test_making_what_exists_changes_it(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite") as (control, _):
        assert group(control) == group(control, tags={"a": "b"})
        (one,) = control.resources()
        assert one.inputs["tags"] == {"a": "b"}


def test_changing_what_is_gone_is_refused_and_removing_it_is_not(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite") as (control, _):
        with pytest.raises(Refused, match="does not exist any more"):
            asyncio.run(control.update(GROUPS, SCOPE, {}, {}, preview=False))
        asyncio.run(control.delete(GROUPS, SCOPE))
        assert asyncio.run(control.read(GROUPS, SCOPE)) is None


def test_a_preview_leaves_no_trace(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite") as (control, _):
        made = asyncio.run(control.create(GROUPS, "group", {"resourceGroupName": "g"}, preview=True))
        assert made.id == ""
        id_ = group(control)
        asyncio.run(control.update(GROUPS, id_, {}, {"resourceGroupName": "g", "tags": {"a": "b"}}, preview=True))
        (one,) = control.resources()
        assert "tags" not in one.inputs


def test_resources_are_told_to_the_emulators_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite") as (control, _):
        for name in ("c", "a", "b"):
            group(control, name)
        group(control, "c", tags={"changed": "later"})
    with plane(tmp_path / "control.sqlite") as (control, _):
        assert [one.inputs["resourceGroupName"] for one in control.resources()] == ["c", "a", "b"]


def test_the_record_is_the_owners_alone(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite"):
        assert (tmp_path / "control.sqlite").stat().st_mode & 0o077 == 0


PLANS = "azure-native:web:AppServicePlan"
BUS_QUEUES = "azure-native:servicebus:Queue"


def locked(plane: ControlPlane, scope: str) -> str:
    inputs = {"scope": scope, "lockName": "keeps-data", "level": "CanNotDelete"}
    return asyncio.run(plane.create(LOCK, "lock", inputs, preview=False)).id


def test_a_lock_stands_on_what_it_names_on_what_is_in_it_and_in_the_way_of_what_it_is_in(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite") as (cloud, _):
        whole, near = group(cloud), group(cloud, "gg")
        inside = grant(cloud)
        lock = locked(cloud, inside)
        for type_, id_ in ((GROUPS, whole), (ASSIGNMENTS, inside)):
            with pytest.raises(Refused, match=f"ScopeLocked: {id_} cannot be deleted because {inside} is locked; take"):
                asyncio.run(cloud.delete(type_, id_))
        asyncio.run(cloud.delete(GROUPS, near))  # its name only begins alike
        asyncio.run(cloud.delete(LOCK, lock))
        asyncio.run(cloud.delete(ASSIGNMENTS, inside))
        asyncio.run(cloud.delete(GROUPS, whole))
        assert cloud.resources() == []


def test_a_plan_keeps_its_way_of_hosting(tmp_path: Path) -> None:
    def sku(name: str, tier: str) -> dict[str, Any]:
        return {"name": "p", "resourceGroupName": "g", "sku": {"name": name, "tier": tier}}

    with plane(tmp_path / "control.sqlite") as (cloud, _):
        id_ = asyncio.run(cloud.create(PLANS, "p", sku("FC1", "FlexConsumption"), preview=False)).id
        for preview in (True, False):
            with pytest.raises(Refused, match="Cannot update ServerFarm SKU from 'FlexConsumption' to 'Dynamic'"):
                asyncio.run(cloud.update(PLANS, id_, {}, sku("Y1", "Dynamic"), preview=preview))
        asyncio.run(cloud.update(PLANS, id_, {}, {**sku("FC1", "FlexConsumption"), "tags": {}}, preview=False))


def test_a_queue_keeps_its_sessions(tmp_path: Path) -> None:
    queue = {"resourceGroupName": "g", "namespaceName": "bus-test", "queueName": "jobs", "requiresSession": False}
    with plane(tmp_path / "control.sqlite") as (cloud, _):
        id_ = asyncio.run(cloud.create(BUS_QUEUES, "jobs", queue, preview=False)).id
        for preview in (True, False):
            with pytest.raises(Refused, match="value for the requiresSession property of an existing entity cannot be"):
                asyncio.run(cloud.update(BUS_QUEUES, id_, {}, {**queue, "requiresSession": True}, preview=preview))
        asyncio.run(cloud.update(BUS_QUEUES, id_, {}, {**queue, "lockDuration": "PT2M"}, preview=False))


def test_what_a_group_holds_goes_with_it(tmp_path: Path) -> None:
    with plane(tmp_path / "control.sqlite") as (cloud, access):
        id_, other = group(cloud), group(cloud, "g2")
        grant(cloud)
        asyncio.run(cloud.delete(GROUPS, id_))
        assert [one.id for one in cloud.resources()] == [other]
        assert not access.allowed("worker", READS, SCOPE)
