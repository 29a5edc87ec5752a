"""Two local stacks of one checkout on Pulumi itself: what becomes of one leaves the other as it is."""

import pytest

from tests.integration.engine.checkout import Checkout

pytestmark = pytest.mark.timeout(300)
UP = ["pulumi", "up", "--yes", "--skip-preview", "--stack"]


def test_destroying_and_forgetting_one_stack_leaves_the_other(alone: Checkout) -> None:
    (alone.root / "Pulumi.other.yaml").write_text((alone.root / "Pulumi.local.yaml").read_text())
    alone.pulumi("stack", "select", "--create", "local")
    alone.pulumi("stack", "init", "other", "--no-select")
    wrong_shell = alone.pulumi(*UP[1:], "other", fails=True)
    assert "this shell is set up for stack local" in wrong_shell
    assert "./millrace pulumi … --stack other" in wrong_shell
    for stack in ("local", "other"):
        alone.millrace(*UP, stack)
    there = alone.left("other")
    assert len(there) > 40
    assert not {one for one in there if "-local" in one}
    alone.millrace("pulumi", "destroy", "--yes", "--skip-preview", "--stack", "local")
    assert alone.left("local") == []
    assert alone.left("other") == there
    assert "unchanged" in alone.millrace(*UP, "other", "--expect-no-changes")
    alone.millrace("reset", stack="other")
    assert alone.home.exists()
    assert not alone.home.with_name("other").exists()
