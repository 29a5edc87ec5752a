"""Values on their way through a provider plugin: plain ones to the control plane, secrets back to the engine.

`read` unwraps a message's values and remembers where secrets were and what they said; `write` wraps again whatever lies
at such a place, and any text that is, or holds, one of the secret texts, wherever the control plane put it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from google.protobuf import struct_pb2

from localcloud.engine.values import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN, Values, from_struct, to_struct

Place = tuple[str | int, ...]
SHORTEST_TEXT = 6
"""Characters; a shorter secret ("1", "true") is kept secret at its own place only, or half of all outputs would be."""


class _Secret(msgspec.Struct, frozen=True):
    value: Any


class Secrets(msgspec.Struct):
    """Where secrets were, and the texts they held."""

    places: set[Place] = msgspec.field(default_factory=set)
    texts: set[str] = msgspec.field(default_factory=set)

    def add(self, other: "Secrets") -> "Secrets":
        """Both together."""
        return Secrets(self.places | other.places, self.texts | other.texts)


def read(struct: struct_pb2.Struct) -> tuple[Values, Secrets]:
    """The plain values of a message and what of them is secret."""
    secrets = Secrets()
    marked = from_struct(struct, secret=_Secret)
    return {key: _plain(value, (key,), secrets) for key, value in marked.items()}, secrets


def plain(struct: struct_pb2.Struct) -> Values:
    """The plain values alone."""
    return from_struct(struct)


def write(values: Mapping[str, Any], secrets: Secrets) -> struct_pb2.Struct:
    """Values as a message, each secret marked."""
    return to_struct({key: _marked(value, (key,), secrets) for key, value in values.items()})


def _plain(value: Any, place: Place, secrets: Secrets) -> Any:
    if isinstance(value, _Secret):
        inner = _plain(value.value, place, secrets)
        secrets.places.add(place)
        secrets.texts.update(_texts(inner))
        return inner
    if isinstance(value, dict):
        return {key: _plain(item, (*place, key), secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, (*place, position), secrets) for position, item in enumerate(value)]
    return value


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {text for item in value.values() for text in _texts(item)}
    if isinstance(value, list):
        return {text for item in value for text in _texts(item)}
    return {value} if isinstance(value, str) and value != UNKNOWN and len(value) >= SHORTEST_TEXT else set()


def _marked(value: Any, place: Place, secrets: Secrets) -> Any:
    if place in secrets.places:
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value}
    if isinstance(value, dict):
        return {key: _marked(item, (*place, key), secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, (*place, position), secrets) for position, item in enumerate(value)]
    if isinstance(value, str) and any(text in value for text in secrets.texts):
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value}
    return value
