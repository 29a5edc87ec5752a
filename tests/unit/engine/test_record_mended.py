"""A record that a killed Pulumi wrote only half goes back to its backup; a whole one is left alone."""

from pathlib import Path

import pytest

from localcloud.session.pulumi_record import mend, records

WHOLE = b'{"checkpoint": {"latest": {"resources": [{"urn": "urn:pulumi:s::p::a:b:C::one", "type": "a:b:C"}]}}}'


@pytest.mark.parametrize("half", [b"", WHOLE[:40]])
def test_half_a_record_goes_back(tmp_path: Path, half: bytes) -> None:
    file = tmp_path / "local.json"
    file.write_bytes(half)
    assert not mend(file), "without a backup nothing can be done, and nothing is lost further"
    assert file.read_bytes() == half
    (tmp_path / "local.json.bak").write_bytes(WHOLE)
    assert mend(file)
    assert [record.name for record in records(file).values()] == ["one"]


def test_half_a_note_of_attributes_goes(tmp_path: Path) -> None:
    file = tmp_path / "local.json"
    file.write_bytes(WHOLE)
    half, whole = tmp_path / "local.json.attrs", tmp_path / "local.json.bak.attrs"
    half.write_bytes(b"")
    whole.write_bytes(b'{"user.content_type": "application/json"}')
    assert not mend(file)
    assert file.read_bytes() == WHOLE
    assert (half.exists(), whole.exists()) == (False, True)


def test_a_whole_record_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "local.json"
    file.write_bytes(WHOLE)
    (tmp_path / "local.json.bak").write_bytes(b"{}")
    assert not mend(file)
    assert file.read_bytes() == WHOLE
