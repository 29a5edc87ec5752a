"""Who is local. Write one here when a stack could reach the laptop unnoticed."""

from pathlib import Path

import pytest

from localcloud.control.kinds import Tenancy
from localcloud.engine.provider import Refused
from localcloud.plugins.command import pulumi
from localcloud.plugins.guard import is_local, require_local
from localcloud.session.local import LocalCloudError

US = Tenancy(subscription_id="sub-local", tenant_id="tenant", aws_account="123456789012", aws_region="eu-central-1")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a local stack, a second local one and a real one; the engine starts plugins in its folder."""
    (tmp_path / "Pulumi.yaml").write_text("name: some\nruntime: python\n")
    for stack, subscription in (("local", "sub-local"), ("second", "sub-local"), ("prod", "sub-prod")):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(f"config:\n  azure-native:subscriptionId: {subscription}\n")
    (tmp_path / "Pulumi.aws.yaml").write_text("config:\n  aws:region: eu-central-1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    return tmp_path


def test_local_is_what_carries_the_local_tenancy(project: Path) -> None:
    assert is_local("local", project)
    assert is_local("second", project)
    assert not is_local("prod", project)
    assert not is_local("never-heard-of", project)


@pytest.mark.parametrize(
    ("package", "config"),
    [
        ("azure-native", {"subscriptionId": "sub-local"}),
        ("azure-native", {"location": "westeurope"}),
        ("aws", {"region": "eu-central-1"}),
        ("aws", {"allowedAccountIds": ["123456789012"]}),
    ],
)
def test_a_local_stack_is_served(project: Path, package: str, config: dict[str, object]) -> None:
    require_local(package, "some", "local", config, US)


@pytest.mark.parametrize(
    ("package", "stack", "config"),
    [
        ("azure-native", "local", {"subscriptionId": "sub-prod"}),
        ("azure-native", "prod", {}),
        ("azure-native", "never-heard-of", {}),
        ("aws", "prod", {"region": "eu-central-1"}),
        ("aws", "aws", {"region": "eu-central-1"}),
        ("aws", "local", {"allowedAccountIds": ["999999999999"]}),
        ("aws", "local", {"allowedAccountIds": ["123456789012", "999999999999"]}),
    ],
)
def test_every_other_is_refused_loudly(project: Path, package: str, stack: str, config: dict[str, object]) -> None:
    with pytest.raises(Refused, match=rf"STOP: stack some/{stack} is not local"):
        require_local(package, "some", stack, config, US)


@pytest.mark.parametrize(
    "args",
    [["up", "--stack", "prod"], ["up", "-s", "prod"], ["destroy", "--stack=org/some/prod"], ["-s", "prod", "preview"]],
)
def test_the_command_refuses_before_it_does_anything(project: Path, args: list[str]) -> None:
    with pytest.raises(LocalCloudError, match="STOP: stack prod is not local"):
        pulumi(args, root=project)
    assert not (project / ".millrace").exists()
