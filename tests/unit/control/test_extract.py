"""The extractors read what is written, and the committed AWS data are what they yield (`--check` does it for Azure)."""

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.control import extract_aws, extract_output
from localcloud.control.extract_arm import Wheel
from localcloud.control.extract_output import correct, render, write
from localcloud.control.extract_sdk import Sdk, camel, snake

SDK_RESOURCE = '''
class ThingArgs:
    def __init__(__self__, *, thing_name: pulumi.Input[str], sku: pulumi.Input[Optional['SkuArgs']] = None):
        pass
    @_builtins.property
    @pulumi.getter(name="thingName")
    def thing_name(self) -> pulumi.Input[_builtins.str]:
        """The name. Changing this forces a new resource."""
    @_builtins.property
    @pulumi.getter
    def sku(self) -> pulumi.Input[Optional['SkuArgs']]: ...
    @_builtins.property
    @pulumi.getter
    def shapes(self) -> pulumi.Input[Optional[Sequence[pulumi.Input[Union['RoundArgs', 'SquareArgs']]]]]: ...

@pulumi.type_token("azure-native:things:Thing")
class Thing(pulumi.CustomResource):
    """Uses Azure REST API version 2024-01-01."""
    @_builtins.property
    @pulumi.getter
    def state(self) -> pulumi.Output[_builtins.str]: ...
'''
SDK_INPUTS = '''
class SkuArgs:
    def __init__(__self__, *, name: pulumi.Input[Union[str, 'SkuName']], parent=None): ...
    @pulumi.getter
    def name(self) -> pulumi.Input[Union[_builtins.str, 'SkuName']]: ...
    @pulumi.getter
    def parent(self) -> pulumi.Input[Optional['SkuArgs']]: ...
class RoundArgs:
    @pulumi.getter
    def kind(self) -> pulumi.Input[_builtins.str]:
        """Expected value is 'round'."""
class SquareArgs:
    @pulumi.getter
    def kind(self) -> pulumi.Input[_builtins.str]:
        """Expected value is 'square'."""
'''
SDK_ENUMS = "class SkuName(_builtins.str, Enum):\n    B = 'b'\n    A = 'a'\n"

WHEEL_MODELS = """
class Base(_serialization.Model):
    _validation = {"id": {"readonly": True}}
    _attribute_map = {"id": {"key": "id", "type": "str"}}
    def __init__(self, **kwargs: Any) -> None: ...
class Thing(Base):
    _validation = {"days": {"maximum": 30, "minimum": 1}, "odd": {"pattern": r"["}}
    _attribute_map = {
        "days": {"key": "properties.retentionDays", "type": "int"},
        "odd": {"key": "properties.odata\\\\.odd", "type": "str"},
        "tier": {"key": "properties.tier", "type": "str"},
    }
    def __init__(self, *, days: int, tier: Optional[Union[str, "_models.Tier"]] = None, **kwargs: Any) -> None: ...
"""
WHEEL_OPERATIONS = """
def build_create_request(group: str, thing_name: str, **kwargs: Any) -> HttpRequest:
    api_version: str = kwargs.pop("api_version", _params.pop("api-version", "2025-01-01"))
    service: Literal["default"] = kwargs.pop("service", "default")
    _url = kwargs.pop("template_url", "/groups/{group}/services/{service}/things/{thingName}")
    path_format_arguments = {
        "group": _SERIALIZER.url("group", group, "str"),
        "service": _SERIALIZER.url("service", service, "str"),
        "thingName": _SERIALIZER.url("thing_name", thing_name, "str", max_length=9, pattern=r"^[a-z]+$"),
    }
"""


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_names() -> None:
    assert snake("BlobServiceProperties") == "blob_service_properties"
    assert snake("OpenIdConnectProvider") == "open_id_connect_provider"
    assert camel("network_rule_set") == "networkRuleSet"


def test_sdk_classes_are_read_as_text(tmp_path: Path) -> None:
    files = {"thing.py": SDK_RESOURCE, "_inputs.py": SDK_INPUTS, "_enums.py": SDK_ENUMS}
    root = written(tmp_path, {f"things/{name}": text for name, text in files.items()})
    sdk = Sdk(root, "things")
    inputs, outputs, version = sdk.resource("azure-native:things:Thing", "thing.py")
    assert inputs["thingName"] == {"type": "string", "required": True, "replace": True}
    assert inputs["sku"] == {"type": "object", "ref": "Sku"}
    shape = {"type": "object", "one_of": ["Round", "Square"], "by": "kind"}
    assert inputs["shapes"] == {"type": "array", "items": shape}
    assert sdk.types["Sku"]["name"] == {"type": "string", "enum": ["a", "b"], "required": True}
    assert sdk.types["Sku"]["parent"] == {"type": "object", "ref": "Sku"}
    assert (outputs, version) == (["state"], "2024-01-01")
    with pytest.raises(LookupError, match="correct the list of types"):
        sdk.resource("azure-native:things:Other", "thing.py")


def test_wheels_are_read_as_text(tmp_path: Path) -> None:
    enums = "class Tier(str, Enum):\n    HOT = 'Hot'\n    COLD = 'Cold'\n"
    files = {"models/_models_py3.py": WHEEL_MODELS, "models/_x_enums.py": enums, "operations/_ops.py": WHEEL_OPERATIONS}
    wheel = Wheel(written(tmp_path, files))
    template, names, version = wheel.path("_ops", "create")
    assert (template, version) == ("/groups/{group}/services/{service}/things/{thingName}", "2025-01-01")
    assert names == {
        "group": {},
        "service": {"enum": ["default"]},
        "thingName": {"max_length": 9, "pattern": "^[a-z]+$"},
    }
    attributes = wheel.attributes("Thing")
    assert attributes["retentionDays"] == attributes["days"] == ("int", {"max": 30, "min": 1})
    assert attributes["tier"] == ("str", {"enum": ["Cold", "Hot"]})
    assert attributes["odd"] == ("str", {})  # its pattern is none that Python knows
    assert attributes["id"] == ("str", {"readonly": True})


def test_documented_ranges_of_sqs() -> None:
    assert extract_aws.shape_limits("sqs#VisibilityTimeout") == {"min": 0, "max": 43200}
    assert extract_aws.shape_limits("sqs#MessageRetentionPeriod") == {"min": 60, "max": 1209600}


def test_committed_aws_data_are_what_the_extractor_yields() -> None:
    assert write(extract_aws.extract(), check=True) == []


def test_a_correction_that_outlived_its_reason_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[dict[str, Any]] = [{"file": "a.json", "at": ["gone"], "set": {"x": 1}, "reason": "r"}]
    (tmp_path / "corrections.json").write_text(json.dumps(entries))
    monkeypatch.setattr(extract_output, "CONSTRAINTS", tmp_path)
    correct("other.json", {})
    with pytest.raises(LookupError, match="remove it"):
        correct("a.json", {"here": {}})


def test_every_correction_gives_a_reason() -> None:
    entries = json.loads((extract_output.CONSTRAINTS / "corrections.json").read_text())
    assert all(len(entry["reason"]) > 20 for entry in entries)


def test_rendering_is_json_sorted_one_property_a_line() -> None:
    value = {"b": {"type": "string"}, "a": ["x" * 60, "y" * 60]}
    text = render(value)
    assert json.loads(text) == value
    assert text.splitlines()[-2:] == [' "b": {"type": "string"}', "}"]
