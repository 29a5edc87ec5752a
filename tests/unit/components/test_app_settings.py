"""Gathering settings: derived ones, plain ones, and no quiet override between them."""

import pulumi
import pytest

from components.errors import DeclarationError
from components.link import Link, setting_prefix
from components.workers.app_settings import gather
from components.workers.steps import Every

OUTPUT: "pulumi.Output[str]" = pulumi.Output.from_input("known")


@pytest.mark.parametrize(
    ("name", "prefix"), [("jobs", "JOBS"), ("api-fetch", "API_FETCH"), ("a-b-c", "A_B_C"), ("x1", "X1")]
)
def test_a_components_name_is_the_beginning_of_its_settings(name: str, prefix: str) -> None:
    assert setting_prefix(name) == prefix


def test_settings_come_from_links_steps_and_the_declaration() -> None:
    links = [Link(name="a.read", settings={"A_URL": OUTPUT}), Link(name="b.send", settings={"B_URL": "b"})]
    steps = [Every("0 0 0 * * *", run="handlers.demo.nightly")]
    assert gather("worker", links, {"LIMIT": "3"}, steps) == {
        "NIGHTLY_SCHEDULE": "0 0 0 * * *",
        "A_URL": OUTPUT,
        "B_URL": "b",
        "LIMIT": "3",
    }


def test_two_verbs_of_one_component_agree_on_their_setting() -> None:
    links = [Link(name="a.read", settings={"A_URL": OUTPUT}), Link(name="a.write", settings={"A_URL": OUTPUT})]
    assert gather("worker", links, {}, []) == {"A_URL": OUTPUT}


@pytest.mark.parametrize("second", ["other", pulumi.Output.from_input("known")])
def test_two_sources_that_disagree_are_refused(second: "pulumi.Input[str]") -> None:
    links = [Link(name="a.read", settings={"A_URL": OUTPUT}), Link(name="b.read", settings={"A_URL": second})]
    with pytest.raises(
        DeclarationError, match=r"^worker: setting A_URL must come from one place, got a second one from b"
    ):
        gather("worker", links, {}, [])


def test_a_schedule_cannot_be_overridden_by_a_plain_setting() -> None:
    with pytest.raises(DeclarationError, match="NIGHTLY_SCHEDULE must come from one place"):
        gather("worker", [], {"NIGHTLY_SCHEDULE": "x"}, [Every("0 0 0 * * *", run="handlers.demo.nightly")])
