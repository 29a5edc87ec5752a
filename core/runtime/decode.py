"""Message bodies → Structs. What cannot be decoded today cannot be decoded tomorrow: a permanent fault."""

from __future__ import annotations

from typing import TypeVar

import msgspec

_S = TypeVar("_S")
_EXCERPT_BYTES = 200


class Undecodable(ValueError):  # noqa: N818 - said of the body
    """The body is not what the handler takes; the text says why and shows the body's beginning."""


def decode(body: bytes, kind: type[_S]) -> _S:
    """The body as `kind`. Raises Undecodable."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        name = getattr(kind, "__name__", str(kind))
        raise Undecodable(f"body must be a {name}: {error}; got {excerpt(body)}") from error


def excerpt(body: bytes, limit: int = _EXCERPT_BYTES) -> str:
    """The beginning of `body`, at most `limit` bytes of printable ASCII: everything else is escaped."""
    text = body[:limit].decode("utf-8", "backslashreplace")
    return text.encode("unicode_escape")[:limit].decode("ascii")
