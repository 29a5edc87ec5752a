"""A read says what is there, not what was written down. Write one here when a type learns to look."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.control.kinds import Locality, Site, Tenancy
from localcloud.control.plane import ControlPlane
from localcloud.engine.provider import Made
from tests.integration.emulators.local import AWS_ACCOUNT, GROUP, REGION, SUBSCRIPTION, TENANT, Local


class NoApps:
    """No function app runs here."""

    async def put(self, site: Site) -> None:
        """Never asked."""

    async def remove(self, name: str) -> None:
        """Never asked."""


class Plane:
    """A control plane on a running local cloud, called from a test."""

    def __init__(self, local: Local, file: Path) -> None:
        tenancy = Tenancy(subscription_id=SUBSCRIPTION, tenant_id=TENANT, aws_account=AWS_ACCOUNT, aws_region=REGION)
        self.local = local
        self.plane = local.run(self._make(file, Locality(tenancy, local.cloud, NoApps())))

    async def _make(self, file: Path, here: Locality) -> ControlPlane:
        return ControlPlane(file, here, deployer_id="deployer")

    async def _close(self) -> None:
        self.plane.close()

    def close(self) -> None:
        """Close its record."""
        self.local.run(self._close())

    def on_loop(self, work: Callable[[], object]) -> None:
        """Do something where the emulators live."""

        async def run() -> None:
            work()

        self.local.run(run())

    def create(self, type_: str, **inputs: Any) -> Made:
        """Make one."""
        return self.local.run(self.plane.create(type_, "one", inputs, preview=False))

    def read(self, type_: str, made: Made) -> Made | None:
        """Look at it."""
        return self.local.run(self.plane.read(type_, made.id))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """One for all tests of this file."""
    local = Local(tmp_path_factory.mktemp("looking"))
    plane = Plane(local, tmp_path_factory.mktemp("record") / "control.sqlite")
    plane.create("azure-native:storage:StorageAccount", accountName="looked", resourceGroupName="rg")
    yield plane
    plane.close()
    local.stop()


@pytest.mark.parametrize("kind", ["BlobContainer", "Queue"])
def test_a_container_or_queue_that_others_removed_is_gone(plane: Plane, kind: str) -> None:
    type_, own = f"azure-native:storage:{kind}", "containerName" if kind == "BlobContainer" else "queueName"
    made = plane.create(type_, accountName="looked", resourceGroupName="rg", **{own: "work"})
    assert made.id.startswith(GROUP)
    found = plane.read(type_, made)
    assert found is not None
    assert found.outputs == made.outputs
    storage = plane.local.cloud.storage
    remove = storage.remove_container if kind == "BlobContainer" else storage.remove_queue
    plane.local.run(remove("looked", "work"))
    assert plane.read(type_, made) is None
    again = plane.create(type_, accountName="looked", resourceGroupName="rg", **{own: "work"})
    assert plane.read(type_, again) is not None


def test_a_queues_attributes_are_what_sqs_says(plane: Plane) -> None:
    made = plane.create("aws:sqs/queue:Queue", name="looked", visibilityTimeoutSeconds=30, delaySeconds=0)
    aws = plane.local.cloud.aws
    plane.on_loop(lambda: aws.put_queue("looked", {"VisibilityTimeout": "77", "DelaySeconds": "0"}))
    found = plane.read("aws:sqs/queue:Queue", made)
    assert found is not None
    assert found.inputs == {"name": "looked", "visibilityTimeoutSeconds": 77, "delaySeconds": 0}
    assert found.outputs["visibilityTimeoutSeconds"] == 77
    assert found.outputs["arn"] == made.outputs["arn"]
    plane.on_loop(lambda: aws.remove_queue("looked"))
    assert plane.read("aws:sqs/queue:Queue", made) is None


def test_a_bucket_that_others_removed_is_gone(plane: Plane) -> None:
    made = plane.create("aws:s3/bucket:Bucket", bucket="looked-bucket")
    assert plane.read("aws:s3/bucket:Bucket", made) is not None
    plane.on_loop(lambda: plane.local.cloud.aws.remove_bucket("looked-bucket"))
    assert plane.read("aws:s3/bucket:Bucket", made) is None
