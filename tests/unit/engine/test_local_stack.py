"""A local cloud is started for local stacks only, and for none that has no settings; nothing is left of a refusal."""

from pathlib import Path

import pytest

from localcloud.engine.config import ConfigError
from localcloud.session.local import LocalCloudError, LocalStack

LOCAL, REAL = "11111111-1111-4111-8111-111111111111", "00000000-0000-4000-8000-000000000007"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: millrace\nruntime: python\n")
    for stack, subscription in {"local": LOCAL, "prod": REAL}.items():
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(f"config:\n  azure-native:subscriptionId: {subscription}\n")
    return tmp_path


def test_a_stack_that_is_not_local_is_refused(project: Path) -> None:
    with pytest.raises(LocalCloudError, match=rf"STOP: stack prod is not local: .* got {REAL}; nothing was done"):
        LocalStack(project, "prod").ensure(print)
    assert not (project / ".millrace").exists()


def test_one_without_settings_is_told_how_to_make_them(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"cp Pulumi\.local\.yaml Pulumi\.other\.yaml"):
        LocalStack(project, "other").ensure(print)
    assert not (project / ".millrace").exists()
