"""A setting's type in words, for messages and for the described schema: the same words in both."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec import inspect


def words(type_: inspect.Type) -> str:  # noqa: PLR0911  one line a type
    """`true or false`, `a whole number from 1 to 730`, `one of "flex", "consumption"`, `a list of …`."""
    if isinstance(type_, inspect.Metadata):
        title = (type_.extra_json_schema or {}).get("title")
        return str(title) if title else words(type_.type)
    if isinstance(type_, inspect.UnionType):
        return " or ".join(words(one) for one in type_.types if not isinstance(one, inspect.NoneType))
    if isinstance(type_, inspect.BoolType):
        return "true or false"
    if isinstance(type_, inspect.IntType):
        return _whole_number(type_.ge, type_.le)
    if isinstance(type_, inspect.LiteralType):
        return f"one of {', '.join(str(value) for value in type_.values)}"
    if isinstance(type_, inspect.ListType):
        inner = words(type_.item_type)
        return "a list of texts" if inner == "a text" else f"a list, each {inner}"
    if isinstance(type_, inspect.DictType):
        return f"a map of names, each to {words(type_.value_type)}"
    if isinstance(type_, inspect.StructType):
        return f"an object of {', '.join(field.encode_name for field in type_.fields)}"
    return "a text"


def _whole_number(low: int | None, high: int | None) -> str:
    if low is None and high is None:
        return "a whole number"
    return f"a whole number, {low} or more" if high is None else f"a whole number from {low} to {high}"


def below(type_: inspect.Type, path: Sequence[str | int]) -> inspect.Type:
    """The type of what stands at `path`; the last one known where the path leaves what is described."""
    for part in path:
        bare = plain(type_)
        if isinstance(bare, inspect.StructType):
            found = next((field for field in bare.fields if field.encode_name == part), None)
            if found is None:
                return type_
            type_ = found.type
        elif isinstance(bare, inspect.ListType):
            type_ = bare.item_type
        elif isinstance(bare, inspect.DictType):
            type_ = bare.value_type
    return type_


def plain(type_: inspect.Type) -> inspect.Type:
    """Without metadata and without "or absent"."""
    if isinstance(type_, inspect.Metadata):
        return plain(type_.type)
    if isinstance(type_, inspect.UnionType):
        return plain(next(one for one in type_.types if not isinstance(one, inspect.NoneType)))
    return type_


def description(type_: inspect.Type) -> str:
    """What a field's `Meta` says of it."""
    return str((type_.extra_json_schema or {}).get("description", "")) if isinstance(type_, inspect.Metadata) else ""


def fields(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    """A Struct's fields, described."""
    return cast("inspect.StructType", inspect.type_info(struct)).fields


def default(field: inspect.Field) -> Any:
    """A field's default as settings files write it; a part that is absent or all defaults is `{}`, none is None."""
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if value is msgspec.NODEFAULT:
        return None
    bare = plain(field.type)
    if isinstance(bare, inspect.StructType):
        return {}
    return msgspec.to_builtins(value)
