"""Settings are described once: what the program reads, what Pulumi.yaml declares and what people read agree; both
engines hand the program the same values.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from localcloud.engine.config import ConfigError, load_program
from localcloud.plugins.pulumi_cli.find import find_cli
from stacks.configuration import Configuration, TargetSettings
from tests.contract.previews import ROOT, STACKS
from tests.contract.settings.described import written

NESTED = ("millrace:aws.accountId", "millrace:alerts.emails", "millrace:logIngest.schedule", "millrace:target.python")


def declared() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return {key: value for key, value in config.items() if ":" not in key}


def test_what_describes_settings_is_what_the_structs_say() -> None:
    for file, text in written().items():
        assert file.read_text() == text, f"run: python -m tests.contract.write_golden  ({file.name})"


def test_every_field_is_declared_and_nothing_else_and_each_says_what_it_is() -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(Configuration)}
    assert declared().keys() == fields.keys()
    for key, one in declared().items():
        assert one.keys() == {"description", "default"}, key
        assert one["description"].count(" (") >= 1, key
        meant = (
            fields[key].default if fields[key].default_factory is msgspec.NODEFAULT else fields[key].default_factory()
        )
        # `{}` stands for an object that is absent, or has nothing but defaults.
        plain = {} if meant is None or isinstance(meant, msgspec.Struct) else meant
        assert (one["default"], type(one["default"])) == (plain, type(plain)), key
        assert isinstance(meant, msgspec.Struct | None) or msgspec.convert(one["default"], fields[key].type) == meant


def test_people_find_nested_fields_too() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert [name for name in NESTED if f"| `{name}` |" not in page] == []
    for field in msgspec.structs.fields(TargetSettings):
        assert f"`millrace:target.{field.encode_name}`" in page


def project(folder: Path, text: str) -> Path:
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (folder / "Pulumi.one.yaml").write_text(text)
    return folder


ODD = """\
config:
  azure-native:location: westeurope
  millrace:tags: { agreed: yes, at: 10:30, zero: 012, big: 1e3, hex: 0x1F, nothing: null, text: "7" }
  millrace:systems: []
  millrace:keepsData: true
  millrace:retentionDays: 0x1F
  millrace:deployerType: "no"
  other:key: [1, 2.5, { a: b }]
"""


@pytest.fixture
def pulumi(tmp_path: Path) -> dict[str, str]:
    """Pulumi's command line with a home of its own."""
    cli = find_cli()
    if cli is None:
        pytest.skip("no pulumi on PATH and none built: `./millrace pulumi version` builds it once (about 5 minutes)")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AWS_", "AZURE_"))}
    (tmp_path / "backend").mkdir()
    return {
        **kept,
        "PATH": f"{cli.parent}{os.pathsep}{kept['PATH']}",
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'backend'}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "millrace-local",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def test_both_engines_read_a_settings_file_alike(tmp_path: Path, pulumi: dict[str, str]) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    project(folder, ODD)
    (folder / "Pulumi.local.yaml").write_text((ROOT / "Pulumi.local.yaml").read_text())
    for stack in ("one", "local"):
        subprocess.run(["pulumi", "stack", "init", stack], cwd=folder, env=pulumi, check=True, capture_output=True)
        asked = subprocess.run(
            ["pulumi", "config", "--json", "--stack", stack], cwd=folder, env=pulumi, check=True, capture_output=True
        )
        theirs = {key: value["value"] for key, value in json.loads(asked.stdout).items()}
        ours = load_program(folder, stack).config
        for key in ours.keys() | theirs.keys():
            assert (key, loose(ours[key])) == (key, loose(theirs[key]))


def loose(text: str) -> Any:
    """A value as the program reads it: JSON if it is any."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def test_a_missing_file_is_made_by_one_command() -> None:
    with pytest.raises(ConfigError, match=r"stack other: .* run: cp Pulumi\.local\.yaml Pulumi\.other\.yaml"):
        load_program(ROOT, "other")


@pytest.mark.parametrize("stack", STACKS)
def test_encrypted_values_are_left_out_wherever_they_stand(stack: str, tmp_path: Path) -> None:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text()
    project(tmp_path, text.replace("  aws:region:", '  millrace:key: { secure: "v1:x" }\n  aws:region:'))
    assert load_program(tmp_path, "one").config == load_program(ROOT, stack).config
    nested = {"tags": {"open": "x", "shut": {"secure": "v1:x"}}}
    assert json.loads(load_program(tmp_path, "one", nested).config["millrace:tags"]) == {"open": "x"}
