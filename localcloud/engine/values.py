"""Pulumi's wire values as plain Python, and back.

Shapes on the wire are `google.protobuf.Struct`s with a few marked objects in them; the markers are constants of
Pulumi's protocol (sdk/go/common/resource/properties.go). Numbers arrive as floats: whole ones are given back as ints,
because a cloud API that wants `3600` refuses `3600.0`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What stands for a value that only an `up` will know."""

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  a marker of the protocol, not a secret
MASK = "[secret]"

Values = dict[str, Any]


def from_struct(struct: struct_pb2.Struct, *, secret: Callable[[Any], Any] = lambda value: value) -> Values:
    """A Struct as a dict; every secret is unwrapped through `secret` (identity by default, or a mask)."""
    return {key: _from_value(value, secret) for key, value in struct.fields.items()}


def _from_value(value: struct_pb2.Value, secret: Callable[[Any], Any]) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        plain = from_struct(value.struct_value, secret=secret)
        if plain.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return secret(plain.get("value"))
        return plain
    if kind == "list_value":
        return [_from_value(item, secret) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "null_value" or kind is None:
        return None
    return getattr(value, kind)


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """A dict of plain values as a Struct; ints become numbers, tuples lists."""
    return json_format.ParseDict(dict(values), struct_pb2.Struct())


def masked(struct: struct_pb2.Struct) -> Values:
    """A Struct for people's eyes: the same shape, each secret replaced by `MASK`."""
    return from_struct(struct, secret=lambda _value: MASK)


def secret_texts(struct: struct_pb2.Struct) -> list[str]:
    """The texts of a Struct's secrets, longest first: what no message may quote."""
    found: list[str] = []

    def keep(value: Any) -> Any:
        found.extend(_texts(value))
        return value

    from_struct(struct, secret=keep)
    return sorted({text for text in found if text}, key=len, reverse=True)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [] if value is None or isinstance(value, bool) else [str(value)]


def has_unknown(value: Any) -> bool:
    """Whether a plain value is, or holds, something that only an `up` will know."""
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def changed_paths(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two plain values differ, as dotted paths (`siteConfig.appSettings[3].value`); empty when equal."""
    if isinstance(old, dict) and isinstance(new, dict):
        paths: list[str] = []
        for key in sorted(old.keys() | new.keys()):
            below = f"{path}.{key}" if path else key
            if key not in old or key not in new:
                paths.append(below)
            else:
                paths += changed_paths(old[key], new[key], below)
        return paths
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            found
            for position, pair in enumerate(zip(old, new, strict=True))
            for found in changed_paths(*pair, f"{path}[{position}]")
        ]
    return [] if old == new else [path]
