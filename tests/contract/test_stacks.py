"""What every stack of the project promises, whatever its settings."""

import json
import re
from typing import Any

import msgspec
import pytest

from components.packaging.declaration import load
from components.packaging.settings_schema import read_handler
from localcloud.control.rules import LOCK
from localcloud.offline.packages import PACKAGE_TYPE
from localcloud.offline.previewing import preview_stack, roles
from localcloud.review.data import held_by
from stacks.outputs import StackOutputs
from tests.contract.previews import GOLDEN, ROOT, STACKS, components, preview, settings, workers

TOKENS = {
    "millrace:aws:EntraTrust",
    "millrace:aws:LogBucket",
    "millrace:aws:WebIdentityRole",
    "millrace:data:Database",
    "millrace:foundation:Foundation",
    "millrace:foundation:HostStorage",
    "millrace:foundation:Identity",
    "millrace:foundation:ResourceGroup",
    "millrace:foundation:Telemetry",
    "millrace:foundation:Vault",
    "millrace:foundation:Workspace",
    "millrace:messaging:Namespace",
    "millrace:messaging:Queue",
    "millrace:messaging:Subscription",
    "millrace:messaging:Topic",
    "millrace:monitoring:Alerts",
    "millrace:monitoring:LogTable",
    "millrace:storage:Account",
    "millrace:storage:Container",
    "millrace:storage:Queue",
    "millrace:system:System",
    "millrace:workers:FunctionWorker",
}
"""A token is part of every child's urn: changing one replaces what stands below it in every stack."""


def test_component_tokens_are_what_they_were() -> None:
    found = set()
    for file in (ROOT / "components").rglob("*.py"):
        found |= set(re.findall(r'super\(\).__init__\(\s*"(millrace:[^"]+)"', file.read_text()))
    assert found == TOKENS


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_previews_offline_without_a_failure(stack: str) -> None:
    found = preview(stack)
    assert found.result.failures == []
    assert [text for severity, text in found.result.messages if severity != "info"] == []
    assert {one.type for one in components(stack)} <= TOKENS


@pytest.mark.parametrize("stack", STACKS)
def test_two_previews_are_equal(stack: str) -> None:
    again = preview_stack(ROOT, stack).document
    once = preview(stack).document

    def by_urn(document: dict[str, Any]) -> dict[str, Any]:
        return {one["urn"]: one for one in document["resources"]}

    assert by_urn(again) == by_urn(once)
    assert again["outputs"] == once["outputs"]


@pytest.mark.parametrize("name", ["resources", "roles", "kept"])
def test_production_is_what_was_reviewed(name: str) -> None:
    file = GOLDEN / f"prod-{name}.txt"
    assert production()[name] == file.read_text(), (
        "production declares something else than was reviewed; if that is meant: "
        "python -m tests.contract.write_golden, and commit the difference"
    )


def production() -> dict[str, str]:
    """Resource types with their number, who may do what, what is kept from removal: readable, one a line, sorted."""
    records = [one for one in preview("prod").result.records if one.custom]
    types = [one.type for one in records]
    locks = [one.parent.rsplit("::", 2)[-1] for one in records if one.type == LOCK]
    kept = [f"protect  {one.type} {one.name}" for one in records if one.protect]
    counted = [f"{types.count(type_):3}  {type_}" for type_ in sorted(set(types))]
    table = ["  ".join(row) for row in roles(preview("prod"))]
    found = {"resources": counted, "roles": table, "kept": sorted([*kept, *(f"lock     {name}" for name in locks)])}
    return {name: "\n".join(lines) + "\n" for name, lines in found.items()}


def test_production_protects_all_that_holds_data_but_what_the_next_up_makes_again() -> None:
    """A function app's own host account holds leases and packages; its container is the only one nobody would miss."""
    open_ = {one.name for one in preview("prod").result.records if held_by(one.type) and not one.protect}
    assert open_ == {f"{app.name}-{part}" for app in workers("prod") for part in ("host", "packages")}


@pytest.mark.parametrize("stack", sorted({*STACKS} - {"prod"}))
def test_the_other_stacks_can_be_destroyed_whole(stack: str) -> None:
    found = preview(stack).result.records
    assert [one.name for one in found if one.protect or one.retain_on_delete or one.type == LOCK] == []
    assert [one.inputs["forceDestroy"] for one in found if one.type == "aws:s3/bucket:Bucket"] == [True]


@pytest.mark.parametrize("stack", STACKS)
def test_every_setting_that_a_handler_reads_is_supplied_and_every_plain_one_is_read(stack: str) -> None:
    packages = [one for one in preview(stack).result.records if one.type == PACKAGE_TYPE]
    assert len(packages) == len(workers(stack)) > 0
    for package in packages:
        (app,) = [one for one in workers(stack) if one.name == package.name]
        supplied, declared = settings(app), load(package.inputs["declaration"])
        facts = [read_handler(ROOT, function.run) for function in declared.functions]
        for handler in facts:
            assert handler.required <= supplied.keys(), f"{stack} {app.name}"
        triggers = {
            name
            for function in declared.functions
            for name in re.findall("%([A-Z_]+)%", json.dumps(function.manifest()))
        }
        assert triggers <= supplied.keys()
        known = {name for handler in facts for name in handler.known} | triggers
        # Names with a double underscore and the platform's own prefixes are read by the host, not by a handler.
        ours = {name for name in supplied if name.isupper() and "__" not in name}
        ours -= {name for name in ours if name.startswith(("APPLICATIONINSIGHTS_", "FUNCTIONS_", "WEBSITE_"))}
        assert ours <= known, f"{stack} {app.name}: a setting nobody reads is a misspelt one"


SECRETS = {
    "an account key": r"AccountKey=|SharedAccessKey",
    "a shared access signature": r"[?&;]sig=|SharedAccessSignature",
    "an AWS key": r"\b(AKIA|ASIA)[A-Z0-9]{16}\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a token": r"eyJ[A-Za-z0-9_-]{20,}\.",
    "a connection string": r"DefaultEndpointsProtocol=|Endpoint=sb://|Password=",
    "64 bytes of key": r"\b[A-Za-z0-9+/]{86}==",
}
KEY_NAMES = re.compile(r"(secret|password|access_?key|shared_?key|sas_?token)$", re.IGNORECASE)


@pytest.mark.parametrize("stack", STACKS)
def test_no_secret_stands_in_any_input_or_output(stack: str) -> None:
    document = preview(stack).document
    for resource in [*document["resources"], {"urn": "outputs", "inputs": document["outputs"]}]:
        text = json.dumps(resource["inputs"])
        for what, pattern in SECRETS.items():
            assert not re.search(pattern, text), f"{what} in {resource['urn']}"
        named = [name for name, value in walk(resource["inputs"]) if KEY_NAMES.search(name) and isinstance(value, str)]
        assert named == [], resource["urn"]


@pytest.mark.parametrize("stack", STACKS)
def test_the_only_connection_string_is_the_telemetrys(stack: str) -> None:
    for app in workers(stack):
        names = {name for name in settings(app) if "CONNECTION" in name.upper()}
        assert names == {"APPLICATIONINSIGHTS_CONNECTION_STRING"}
        assert settings(app)["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]


def walk(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Every leaf with its own key; an app setting's name counts as its value's key."""
    if isinstance(value, dict):
        if value.keys() == {"name", "value"}:
            return [(str(value["name"]), value["value"])]
        return [found for key, item in value.items() for found in walk(item, key)]
    if isinstance(value, list):
        return [found for item in value for found in walk(item, name)]
    return [(name, value)]


@pytest.mark.parametrize("stack", STACKS)
def test_exports_are_what_the_contract_says(stack: str) -> None:
    exported = preview(stack).result.outputs
    parts = {field.encode_name: field for field in msgspec.structs.fields(StackOutputs)}
    assert exported.keys() <= parts.keys()
    assert {name for name, field in parts.items() if field.required} <= exported.keys()
    for name, values in exported.items():
        struct = parts[name].type
        if not isinstance(struct, type):
            struct = next(one for one in struct.__args__ if one is not type(None))
        assert values.keys() == {field.encode_name for field in msgspec.structs.fields(struct)}, name
