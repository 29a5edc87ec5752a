"""Which command line is taken. Nothing here builds one: `go` is a script."""

import os
from pathlib import Path

import pytest

from localcloud.plugins.pulumi_cli.find import PulumiCliError, cached_cli, find_cli, require_cli


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one empty folder (and the system's own) and an empty cache."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_a_recent_one_on_path_wins(machine: Path) -> None:
    script(machine / "bin" / "pulumi", "echo v3.200.1")
    script(cached_cli(), "echo v3.259.0")
    assert find_cli() == machine / "bin" / "pulumi"


@pytest.mark.parametrize("answer", ["echo v3.199.9", "echo hello", "exit 1"])
def test_an_old_or_broken_one_is_passed_over(machine: Path, answer: str) -> None:
    script(machine / "bin" / "pulumi", answer)
    assert find_cli() is None
    script(cached_cli(), "echo v3.259.0")
    assert find_cli() == cached_cli()


def test_without_go_one_message_says_what_to_install(machine: Path) -> None:
    with pytest.raises(PulumiCliError, match=r"install version 3\.200 or later .* or install Go"):
        require_cli(lambda _text: None)


GO = """for last; do :; done
while [ "$1" != -o ]; do shift; done
test -f go.mod && test -f go.sum && echo some/package >&2 && echo built >> "$COUNT" && cp "$0" "$2"
"""


def test_it_is_built_once_from_the_pins(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNT", str(machine / "count"))
    script(machine / "bin" / "go", GO)
    said: list[str] = []
    assert require_cli(said.append) == cached_cli()
    assert require_cli(said.append) == cached_cli()
    assert (machine / "count").read_text() == "built\n"
    assert any("building" in line for line in said)
    assert sorted(entry.name for entry in cached_cli().parent.iterdir()) == ["building.lock", "pulumi"]


def test_a_failed_build_leaves_nothing_and_tells_the_end_of_its_log(machine: Path) -> None:
    script(machine / "bin" / "go", "echo 'no such module' >&2; exit 3")
    with pytest.raises(PulumiCliError, match=r"exit 3.*\nno such module"):
        require_cli(lambda _text: None)
    assert find_cli() is None
    assert [entry.name for entry in cached_cli().parent.iterdir()] == ["building.lock"]
