"""Secrets through a plugin. Write one here when a value may come out of the control plane unmarked."""

from typing import Any

from google.protobuf import struct_pb2

from localcloud.engine.values import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN, from_struct, to_struct
from localcloud.plugins.values import read, write


def secret(value: Any) -> dict[str, Any]:
    return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value}


def shown(struct: struct_pb2.Struct) -> dict[str, Any]:
    return from_struct(struct, secret=lambda value: {"secret": value})


def test_a_secret_stays_one_at_its_place_and_wherever_its_text_went() -> None:
    settings = [{"name": "MODE", "value": "strict"}, {"name": "KEY", "value": secret("hunter2hunter2")}]
    values, secrets = read(to_struct({"settings": settings, "plain": 3}))
    assert values == {"settings": [settings[0], {"name": "KEY", "value": "hunter2hunter2"}], "plain": 3}
    back = write({**values, "connection": "Key=hunter2hunter2;Host=x", "url": "https://x"}, secrets)
    assert shown(back) == {
        "settings": [settings[0], {"name": "KEY", "value": {"secret": "hunter2hunter2"}}],
        "plain": 3,
        "connection": {"secret": "Key=hunter2hunter2;Host=x"},
        "url": "https://x",
    }


def test_a_whole_object_may_be_secret_and_short_texts_do_not_spread() -> None:
    values, secrets = read(to_struct({"flag": secret("on"), "pair": secret({"user": "somebody", "on": True})}))
    assert values == {"flag": "on", "pair": {"user": "somebody", "on": True}}
    back = shown(write({**values, "other": "on", "who": "somebody"}, secrets))
    assert back["flag"] == {"secret": "on"}
    assert back["other"] == "on"
    assert back["pair"] == {"secret": values["pair"]}
    assert back["who"] == {"secret": "somebody"}


def test_what_is_unknown_stays_unknown() -> None:
    values, secrets = read(to_struct({"id": UNKNOWN, "key": secret(UNKNOWN)}))
    assert shown(write({**values, "out": UNKNOWN}, secrets)) == {
        "id": UNKNOWN,
        "key": {"secret": UNKNOWN},
        "out": UNKNOWN,
    }
