"""What a side says of secrets and settings: that they changed, never what they are."""

from pathlib import Path

from localcloud.review_snapshot import _marked, _names, _settings

SHOWN = {"a": "[secret]", "b": [{"c": "[secret]"}], "plain": "x"}


def test_a_secret_is_a_digest_under_the_review_s_own_key() -> None:
    raw = {"a": "hush", "b": [{"c": "hush"}], "plain": "x"}
    one, other = _marked(SHOWN, raw, b"key"), _marked(SHOWN, raw, b"another key")

    assert one["a"] == one["b"][0]["c"]
    assert one["a"].startswith("[secret ")
    assert one["a"] != other["a"]
    assert one["plain"] == "x"
    assert "hush" not in str(one)


def test_a_changed_secret_differs_and_an_equal_one_does_not() -> None:
    def mark(value: str) -> object:
        return _marked({"a": "[secret]"}, {"a": value}, b"key")

    assert mark("one") == mark("one")
    assert mark("one") != mark("two")


def test_settings_are_flat_and_ciphertext_stays_out(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text("config:\n  m:a: {b: 1, c: [x]}\n  m:s: {secure: v1:hush}\nencryptionsalt: v1:salty\n")

    found = _settings(file)

    assert {key: found[key] for key in ("m:a.b", "m:a.c")} == {"m:a.b": "1", "m:a.c": '["x"]'}
    assert found["m:s"].startswith("[secret ")
    assert "hush" not in str(found)
    assert "salty" not in str(found)


def test_settings_of_an_empty_file(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text("config:\n")
    assert _settings(file) == {}


def test_outputs_are_names_only() -> None:
    assert sorted(_names({"one": {"a": "secret", "b": None}, "two": 2})) == ["one.a", "one.b", "two"]
