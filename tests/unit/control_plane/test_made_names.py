"""Names that the program leaves open, and what a provider's own settings add."""

from typing import Any

from localcloud.control import rules

QUEUE, BUCKET, GROUP = "aws:sqs/queue:Queue", "aws:s3/bucket:Bucket", "azure-native:resources:ResourceGroup"


def checked(type_: str, name: str, old: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    found = rules.check(type_, name, old, inputs, seed="project:stack")
    assert found.failures == []
    return found.inputs


def test_aws_names_are_the_logical_one_and_seven_characters() -> None:
    name = checked(QUEUE, "jobs")["name"]
    assert name.startswith("jobs-")
    assert len(name) == len("jobs-") + 7
    assert checked(BUCKET, "Logs")["bucket"].startswith("logs-")


def test_a_made_name_stays_and_a_prefix_is_kept_beside_it() -> None:
    first = checked(QUEUE, "jobs", namePrefix="pre-")
    assert first["name"].startswith("pre-")
    assert checked(QUEUE, "jobs", old=first, namePrefix="pre-", delaySeconds=5)["name"] == first["name"]


def test_two_programs_make_different_names() -> None:
    names = {rules.check(GROUP, "g", None, {}, seed=seed).inputs["resourceGroupName"] for seed in ("a:dev", "b:dev")}
    assert len(names) == 2


def test_a_program_may_not_say_both_name_and_prefix() -> None:
    assert rules.check(QUEUE, "q", None, {"name": "a", "namePrefix": "b"}).failures


def test_a_providers_location_fills_what_takes_one() -> None:
    where = {"location": "northeurope", "region": "us-east-1"}
    assert rules.check(GROUP, "g", None, {}, defaults=where).inputs["location"] == "northeurope"
    assert rules.check(GROUP, "g", None, {"location": "westeurope"}, defaults=where).inputs["location"] == "westeurope"
    assert rules.check(QUEUE, "q", None, {}, defaults=where).inputs["region"] == "us-east-1"
