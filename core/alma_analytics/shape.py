"""A value from a file against a msgspec Struct: every fault at once, where msgspec itself stops at the first one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

SHOWN: Final = 60  # characters of a wrong value
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Fault(NamedTuple):
    """Where, what must hold there, what was found."""

    field: str
    must: str
    got: str


def faults(value: object, kind: type[msgspec.Struct]) -> list[Fault]:
    """Everything that keeps `value` (dicts, lists, plain values) from being a `kind`, in the order of its fields."""
    return list(_faults(value, _info(kind), ""))


def shown(value: object) -> str:
    """A value as it stood in the file, shortened."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, msgspec.EncodeError):
        text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


@lru_cache(maxsize=16)
def _info(kind: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(kind)


def _faults(value: object, node: inspect.Type, at: str) -> Iterator[Fault]:
    if isinstance(node, inspect.UnionType):
        if value is None and any(isinstance(one, inspect.NoneType) for one in node.types):
            return
        node = next(one for one in node.types if not isinstance(one, inspect.NoneType))
    if isinstance(node, inspect.StructType):
        yield from _of_struct(value, node, at)
    elif isinstance(node, inspect.ListType):
        yield from _of_list(value, node, at)
    elif not _fits(value, node):
        yield Fault(at, _must(node), shown(value))


def _of_struct(value: object, node: inspect.StructType, at: str) -> Iterator[Fault]:
    names = [field.encode_name for field in node.fields]
    if not isinstance(value, Mapping):
        yield Fault(at, f"fields ({', '.join(names)})", shown(value))
        return
    for key in value:
        if key not in names:
            near = get_close_matches(str(key), names, 1)
            yield Fault(
                _below(at, key),
                f"one of {', '.join(names)}" + (f" (do you mean {near[0]}?)" if near else ""),
                shown(key),
            )
    for field in node.fields:
        place = _below(at, field.encode_name)
        if field.encode_name in value:
            yield from _faults(value[field.encode_name], field.type, place)
        elif field.required:
            yield Fault(place, _must(field.type), "nothing")


def _of_list(value: object, node: inspect.ListType, at: str) -> Iterator[Fault]:
    if not isinstance(value, list) or not _long(value, node):
        yield Fault(at, _must(node), shown(value))
        return
    for number, item in enumerate(value, 1):
        yield from _faults(item, node.item_type, f"{at}[{number}]")


def _below(at: str, name: object) -> str:
    return f"{at}.{name}" if at else str(name)


def _long(value: list[Any] | str, node: inspect.ListType | inspect.StrType) -> bool:
    least, most = node.min_length or 0, node.max_length
    return least <= len(value) and (most is None or len(value) <= most)


def _fits(value: object, node: inspect.Type) -> bool:
    if isinstance(node, inspect.StrType):
        return (
            isinstance(value, str) and _long(value, node) and not _CONTROL.search(value)
            and (node.pattern is None or re.search(node.pattern, value) is not None)
        )  # fmt: skip
    if isinstance(node, inspect.IntType):
        return isinstance(value, int) and not isinstance(value, bool) and _in_range(value, node)
    if isinstance(node, inspect.LiteralType):
        return isinstance(value, str) and value in node.values
    return isinstance(value, bool)


def _in_range(value: int, node: inspect.IntType) -> bool:
    return (
        (node.ge is None or value >= node.ge)
        and (node.le is None or value <= node.le)
        and (node.multiple_of is None or value % node.multiple_of == 0)
    )


def _must(node: inspect.Type) -> str:
    """What must stand there, after "must be"."""
    if isinstance(node, inspect.UnionType):
        return _must(next(one for one in node.types if not isinstance(one, inspect.NoneType)))
    if isinstance(node, inspect.StrType):
        text = f"text of the form {node.pattern}" if node.pattern else "text without control characters"
        return text + (", not empty" if node.min_length else "")
    if isinstance(node, inspect.IntType):
        ends = f" from {node.ge} to {node.le}" if node.ge is not None else ""
        return f"a whole number{ends}" + (f", a multiple of {node.multiple_of}" if node.multiple_of else "")
    if isinstance(node, inspect.LiteralType):
        return f"one of {', '.join(map(str, node.values))}"
    if isinstance(node, inspect.ListType):
        most = f" to {node.max_length}" if node.max_length else " or more" if node.min_length else ""
        return f"a list{f' of {node.min_length}{most}' if most else ''}"
    return "given" if isinstance(node, inspect.StructType) else "true or false"
