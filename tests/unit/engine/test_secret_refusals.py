"""A refusal names the property and what it must be, never a secret that was given for it."""

from pathlib import Path

import pulumi
from pulumi_azure_native import storage

from localcloud.control.kinds import Tenancy
from localcloud.control.offline import OfflineCloud
from localcloud.engine.embedded import Program, run

TENANCY = Tenancy(subscription_id="s", tenant_id="t", aws_account="123456789012", aws_region="eu-central-1")


def test_a_refusal_quotes_no_secret(tmp_path: Path) -> None:
    def main() -> None:
        storage.StorageAccount(
            "account",
            account_name=pulumi.Output.secret("Hush Hush"),
            resource_group_name="group",
            kind="StorageV2",
            sku={"name": "Standard_LRS"},
        )

    program = Program(root=tmp_path, project="project", stack="stack", config={})
    result = run(program, cloud=OfflineCloud(TENANCY), preview=True, main=main)
    assert len(result.failures) == 1
    assert "accountName" in result.failures[0]
    assert "Hush" not in result.failures[0]
    assert "[secret]" in result.failures[0]
