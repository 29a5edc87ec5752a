"""Would Azure or AWS accept these inputs? Answers from committed constraint data and a few written rules.

    result = check("azure-native:storage:StorageAccount", inputs)
    result.failures      # [] or one Failure(property_path, reason) per reason
    describe(token)      # name property, id template, outputs, input schemas
    arm_id(token, inputs, subscription_id)
    diff_kind(token, ["accountName"])        # "replace"

The data are ``constraints/<package>/<module>.json``, written by ``extract_azure`` and ``extract_aws`` and loaded on the
first use of a module; what no schema can say (a setting that one hosting plan refuses) is in ``check_rules`` and
``check_rules_aws``. Pure: no network, no state but the loaded data; well under a millisecond per resource.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from localcloud.control import check_rules, check_rules_aws
from localcloud.control.check_schema import Checker, suggestion
from localcloud.control.check_view import UNKNOWN, Failure, View

CONSTRAINTS = Path(__file__).parent / "constraints"
LISTS = {
    "azure-native": "TYPES in localcloud/control/extract_azure.py",
    "aws": "TYPES in localcloud/control/extract_aws.py",
}

__all__ = ["UNKNOWN", "CheckResult", "Failure", "arm_id", "check", "describe", "diff_kind"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The inputs as the provider would keep them (without nulls), and every reason against them."""

    inputs: dict[str, Any]
    failures: list[Failure] = field(default_factory=list)


def check(
    type_token: str,
    inputs: Mapping[str, Any],
    *,
    unknown: str = UNKNOWN,
    siblings: Callable[[str], Mapping[str, Any] | None] | None = None,
) -> CheckResult:
    """Every reason why the cloud would refuse a resource of this type with these inputs (camelCase, as Pulumi sends).

    ``unknown`` is the text that stands for values not known yet; they pass. ``siblings`` gives the inputs of another
    declared resource by its id (None: no such one), for the rules that look across: a function app and its plan.
    """
    values = {key: without_nulls(value) for key, value in inputs.items() if value is not None}
    resource = describe(type_token)
    if not resource:
        return CheckResult(values, [Failure("", _missing(type_token))])
    module = _module(type_token)
    azure = type_token.startswith("azure-native:")
    checker = Checker(module.get("types", {}), unknown, ignore_case=azure)
    failures = list(checker.properties("", resource["inputs"], values, type_token, resource["outputs"]))
    if not any(failure.misshapen for failure in failures):
        rules = check_rules if azure else check_rules_aws
        failures += rules.broken(type_token, View(values, unknown), siblings or (lambda _: None))
    return CheckResult(values, failures)


def describe(type_token: str) -> dict[str, Any]:
    """What the data hold about a type; {} when there are none.

    Keys: ``inputs`` (name -> schema), ``outputs`` (names the cloud gives), ``name_property`` (the input that is the
    resource's own name, "" if none), and for Azure ``id`` (path template over the inputs), ``api_version`` and, where
    the provider makes up GUIDs for names, ``autoname: "uuid"``.
    """
    found = _module(type_token).get("resources", {}).get(type_token, {})
    return found if isinstance(found, dict) else {}


def arm_id(type_token: str, inputs: Mapping[str, Any], subscription_id: str) -> str:
    """The id that Azure gives the resource; KeyError names what is missing (a type without path, an absent name)."""
    template = describe(type_token).get("id")
    if not template:
        raise KeyError(f"{type_token} has no Azure id in the constraint data")
    known = {**inputs, "subscriptionId": subscription_id}

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if known.get(name) is None:
            raise KeyError(f"{type_token}: {name} must be known to build the id, it is absent")
        return str(known[name]).lstrip("/")  # scopes are paths of their own and start with a slash

    return re.sub(r"\{(\w+)\}", fill, template)


def diff_kind(type_token: str, changed_property_paths: list[str]) -> Literal["replace", "update"]:
    """Whether the cloud would have to replace the resource for these changes (``a.b[0].c`` paths)."""
    types = _module(type_token).get("types", {})
    for path in changed_property_paths:
        properties = describe(type_token).get("inputs", {})
        for key in re.findall(r'[^.\[\]"]+', path):
            schema = properties.get(key)
            if schema is None:
                continue  # an index, a key of a free map, or below an unknown shape
            if schema.get("replace"):
                return "replace"
            while schema.get("type") in {"array", "map"}:
                schema = schema["items"]
            properties = types.get(schema.get("ref", ""), {})
    return "update"


def without_nulls(value: Any) -> Any:
    """The value without absent properties: Pulumi sends null for an optional one that was set to None."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _file(type_token: str) -> Path:
    package, _, rest = type_token.partition(":")
    module = rest.partition(":")[0].partition("/")[0]
    return CONSTRAINTS / package / f"{module}.json"


def _module(type_token: str) -> dict[str, Any]:
    return _load(_file(type_token))


@lru_cache(maxsize=64)
def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])


def _missing(type_token: str) -> str:
    package = type_token.partition(":")[0]
    path = _file(type_token).relative_to(CONSTRAINTS.parents[2]).as_posix()
    meant = suggestion(type_token, _load(_file(type_token)).get("resources", {}))
    if meant:
        return f'must be a known type, got {type_token}; did you mean "{meant}"?'
    place = LISTS.get(package, "an extractor of its own, as extract_azure.py is one")
    return f"must be a type described in {path}, got {type_token}; add a line to {place} and run that command"
