"""Storage accounts, containers and queues: closed by default, one role a verb, and no queue that nobody empties."""

from collections.abc import Callable

import pulumi
import pytest

from components.link import Link
from components.storage.account import Account, AccountArgs
from components.storage.container import Container, ContainerArgs
from components.storage.queue import Queue, QueueArgs
from localcloud.engine.embedded import ProgramError
from tests.components.program import SUBSCRIPTION, Base, declare, links_of

ACCOUNT_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/demo-test/providers/Microsoft.Storage/storageAccounts/demotesteefa8"
)


def test_an_account_has_no_keys_no_old_tls_and_nothing_public() -> None:
    account = declare(Base).one("StorageAccount").inputs
    wanted = {
        "allowBlobPublicAccess": False,
        "allowCrossTenantReplication": False,
        "allowSharedKeyAccess": False,
        "defaultToOAuthAuthentication": True,
        "enableHttpsTrafficOnly": True,
        "isLocalUserEnabled": False,
        "minimumTlsVersion": "TLS1_2",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
    }
    assert {key: account.get(key) for key in wanted} == wanted


def test_deleted_blobs_can_be_had_back() -> None:
    blobs = declare(lambda: Base(retention_days=45)).one("BlobServiceProperties").inputs
    assert blobs["deleteRetentionPolicy"] == {"enabled": True, "days": 45}
    assert blobs["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 45}


def test_where_data_is_kept_accounts_and_containers_are_protected_and_span_zones() -> None:
    def main() -> None:
        Container("out", ContainerArgs(account=Base(keeps_data=True).account))

    found = declare(main)
    assert found.one("StorageAccount").inputs["sku"] == {"name": "Standard_ZRS"}
    assert found.one("StorageAccount").protect
    assert found.one("BlobContainer").protect


def test_a_container_is_private_and_its_links_grant_one_role_on_it_alone() -> None:
    def make(base: Base) -> dict[str, Link]:
        out = Container("out-files", ContainerArgs(account=base.account))
        return {"read": out.read(), "write": out.write()}

    container = f"{ACCOUNT_ID}/blobServices/default/containers/out-files"
    settings = {"OUT_FILES_URL": "https://blob.test/demotesteefa8/out-files"}
    assert links_of(make) == {
        "read": {"settings": settings, "grants": [["blob.read", container]], "aws": []},
        "write": {"settings": settings, "grants": [["blob.write", container]], "aws": []},
    }
    declared = declare(lambda: Container("out-files", ContainerArgs(account=Base().account)))
    assert declared.one("BlobContainer").inputs["publicAccess"] == "None"


def test_a_name_that_is_known_still_waits_for_what_it_names() -> None:
    found = declare(lambda: Container("out", ContainerArgs(account=Base().account)))
    container, account = found.one("BlobContainer"), found.one("StorageAccount")
    assert container.inputs["accountName"] == account.inputs["accountName"]
    assert account.urn in container.dependencies
    assert found.one("ResourceGroup", "demo").urn in account.dependencies


def test_sending_to_a_queue_is_not_receiving_from_it() -> None:
    def make(base: Base) -> dict[str, Link]:
        jobs = Queue("jobs", QueueArgs(account=base.account), opts=base.system.child)
        return {"send": jobs.send(), "trigger": jobs.trigger("the-client")}

    queues = f"{ACCOUNT_ID}/queueServices/default/queues"
    address = "https://queue.test/demotesteefa8/"
    assert links_of(make) == {
        "send": {
            "settings": {"JOBS_QUEUE_ENDPOINT": address, "JOBS_QUEUE_NAME": "jobs"},
            "grants": [["queue.send", f"{queues}/jobs"]],
            "aws": [],
        },
        "trigger": {
            "settings": {
                "JOBS__queueServiceUri": address,
                "JOBS__credential": "managedidentity",
                "JOBS__clientId": "the-client",
            },
            "grants": [["queue.receive", f"{queues}/jobs"], ["queue.send", f"{queues}/jobs-poison"]],
            "aws": [],
        },
    }


@pytest.mark.parametrize(
    ("consumer", "queues"), [("step", ["jobs", "jobs-poison"]), ("operator", ["jobs"]), ("external", ["jobs"])]
)
def test_only_a_queue_that_triggers_a_step_has_a_poison_queue(consumer: str, queues: list[str]) -> None:
    def main() -> None:
        Queue("jobs", QueueArgs(account=Base().account, consumer=consumer))  # type: ignore[arg-type]

    assert sorted(one.inputs["queueName"] for one in declare(main).all("storage:Queue")) == queues


def test_a_queue_that_nobody_consumes_is_refused() -> None:
    def main() -> None:
        base = Base()
        Queue("jobs", QueueArgs(account=base.account), opts=base.system.child)
        base.system.finish({})

    with pytest.raises(ProgramError) as error:
        declare(main)
    assert str(error.value) == (
        'Queue "jobs" in system demo: every queue must have a consumer, got none; '
        'add a step with On(queue, …), or declare it with consumer="operator" or "external"'
    )


def test_a_queue_with_its_poison_queue_is_looked_at_once() -> None:
    def main() -> None:
        base = Base()
        Queue("jobs", QueueArgs(account=base.account), opts=base.system.child).consumed_by.append("worker")
        base.system.finish({})

    assert len(declare(main).all("storage:Queue")) == 2


def test_a_queue_inside_another_component_of_the_system_is_looked_at_as_well() -> None:
    def main() -> None:
        base = Base()
        part = pulumi.ComponentResource("millrace:test:Part", "part", None, base.system.child)
        Queue("jobs", QueueArgs(account=base.account), opts=pulumi.ResourceOptions(parent=part))
        base.system.finish({})

    with pytest.raises(ProgramError, match="every queue must have a consumer"):
        declare(main)


def test_a_queue_whose_consumer_is_no_consumer_is_refused() -> None:
    with pytest.raises(ProgramError, match=r"consumer must be step, operator or external, got 'nobody'; say who"):
        declare(lambda: QueueArgs(account=Base().account, consumer="nobody"))  # type: ignore[arg-type]


LONG = "a-very-long-name-for-a-thing-that-carries-messages-from-here-to-there"


@pytest.mark.parametrize(
    "make",
    [
        lambda base: Queue(LONG, QueueArgs(account=base.account, consumer="external")),
        lambda base: Queue(LONG[:60], QueueArgs(account=base.account)),  # its poison queue would not fit
        lambda base: Container(LONG, ContainerArgs(account=base.account)),
    ],
)
def test_a_name_that_handlers_see_is_never_cut(make: Callable[[Base], object]) -> None:
    with pytest.raises(ProgramError, match=r"must be at most 63 characters.*got 6\d.*; choose a shorter name"):
        declare(lambda: make(Base()))


def test_two_long_names_that_begin_alike_stay_two_accounts() -> None:
    def main() -> None:
        group = Base().group
        for name in ("notifications-of-people", "notifications-of-things"):
            Account(name, AccountArgs(group=group))

    names = {one.inputs["accountName"] for one in declare(main).all("StorageAccount")}
    assert len(names) == 3
    assert all(len(name) <= 24 and name.endswith("testeefa8") for name in names)


def test_two_of_one_name_are_refused_and_not_merged() -> None:
    def main() -> None:
        account = Base().account
        for _ in range(2):
            Container("out", ContainerArgs(account=account))

    with pytest.raises(ProgramError, match='container "out": must have a physical name of its own, got out, which'):
        declare(main)


@pytest.mark.parametrize("name", ["bad name", "-a", "a--b", "ä", "a"])
def test_a_name_that_azure_refuses_is_refused_in_the_preview(name: str) -> None:
    with pytest.raises(ProgramError, match=r"^container .* the physical name must match .*; rename the component with"):
        declare(lambda: Container(name, ContainerArgs(account=Base().account)))


@pytest.mark.parametrize(
    ("names", "made"),
    [(("a-b", "ab"), "abtesteefa8"), (("a_b", "a-b"), "abtesteefa8"), (("Data", "data"), "datatesteefa8")],
)
def test_two_names_that_become_one_account_are_refused(names: tuple[str, str], made: str) -> None:
    def main() -> None:
        group = Base().group
        for name in names:
            Account(name, AccountArgs(group=group))

    told = (
        f'^storage_account "{names[1]}": must have a physical name of its own, got {made}, which storage_account '
        f'"{names[0]}" has already; rename one of the two$'
    )
    with pytest.raises(ProgramError, match=told):
        declare(main)


def test_equal_names_in_different_accounts_are_two() -> None:
    def main() -> None:
        base = Base()
        other = Account("other", AccountArgs(group=base.group))
        for account, parent in ((base.account, base.system), (other, other)):
            Container("out", ContainerArgs(account=account), opts=pulumi.ResourceOptions(parent=parent))
            Queue("jobs", QueueArgs(account=account, consumer="operator"))

    assert len(declare(main).all("BlobContainer")) == len(declare(main).all("storage:Queue")) == 2


def test_a_queue_may_not_be_anothers_poison() -> None:
    def main() -> None:
        account = Base().account
        Queue("jobs", QueueArgs(account=account))
        Queue("jobs-poison", QueueArgs(account=account, consumer="operator"))

    with pytest.raises(
        ProgramError, match=r'queue "jobs-poison": must have a physical name of its own, got jobs-poison'
    ):
        declare(main)


def test_where_data_is_kept_queues_and_groups_are_protected_and_the_account_is_locked() -> None:
    found = declare(lambda: Queue("jobs", QueueArgs(account=Base(keeps_data=True).account)))
    assert {one.protect for one in [*found.all("storage:Queue"), *found.all("ResourceGroup")]} == {True}
    assert found.one("StorageAccount").id in {one.inputs["scope"] for one in found.all("ManagementLockByScope")}
