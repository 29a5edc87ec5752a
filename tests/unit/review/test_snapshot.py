"""What a side says of secrets and settings: that they changed, never what they are."""

from pathlib import Path

from localcloud.review.snapshot import _marked, _names, _settings, _without_secrets

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


def test_a_refusal_quotes_no_value_of_a_resource_that_was_given_secrets() -> None:
    shown = {
        "urn:pulumi:s::p::my:x:Part$azure:storage:Account::data": {"accountName": "[secret]"},
        "urn:pulumi:s::p::azure:storage:Account::open": {"accountName": "No Good"},
    }
    refusals = [
        'azure:storage:Account data: accountName: must match ^[a-z]+$, got "Hush; hush"; change it; kind: got 3',
        'azure:storage:Account open: accountName: must match ^[a-z]+$, got "No Good"; change it',
    ]

    found = _without_secrets(refusals, shown)

    assert found[0].startswith("azure:storage:Account data: accountName: refused; ")
    assert "hush" not in found[0].lower()
    assert found[1] == refusals[1]


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
