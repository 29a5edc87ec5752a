"""Compares a value with a property schema of the constraint data; see ``extract_sdk`` for a schema's keys.

Enums of Azure are compared without regard to case: ARM's resource providers read them so (the REST guidelines ask for
it, and what ARM returns often differs in case from what was sent). AWS compares exactly. Property *names* are compared
exactly in both: the Pulumi providers look them up as written, and what they do not know they drop.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from localcloud.control.check_view import Failure, join
from localcloud.control.extract_sdk import Schema, camel

SHOWN = 60


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Python's `$` lets a trailing line break pass, no name of a cloud may end in one.
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern))


def shown(value: Any) -> str:
    """A value as it stands in a message: JSON, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def suggestion(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or ""."""
    names = {name.lower(): name for name in known}
    for guess in (word, camel(word), word.replace(".", "_")):
        if guess.lower() in names:
            return names[guess.lower()]
    close = difflib.get_close_matches(camel(word).lower(), names, n=1, cutoff=0.7)
    return names[close[0]] if close else ""


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks values of one module: its nested ``types``, the ``unknown`` stand-in, whether enums ``ignore_case``."""

    types: Mapping[str, Mapping[str, Schema]]
    unknown: str
    ignore_case: bool

    def properties(
        self, path: str, known: Mapping[str, Schema], values: Mapping[str, Any], what: str, outputs: Iterable[str] = ()
    ) -> Iterator[Failure]:
        """Failures of an object: unknown names, missing ones, and those of each value."""
        for name, value in values.items():
            schema = known.get(name)
            if schema is not None:
                if value is not None:
                    yield from self.value(join(path, name), schema, value)
            elif not name.startswith("__"):  # the engine's own marks
                yield Failure(join(path, name), _stranger(name, known, what, outputs))
        for name, schema in known.items():
            if schema.get("required") and values.get(name) is None:
                needs = f"set it to {A[schema.get('type', 'any')]}" + (
                    f": {_one_of(schema['enum'])}" if "enum" in schema else ""
                )
                yield Failure(join(path, name), f"must be set on {what}, it is absent; {needs}")

    def value(self, path: str, schema: Schema, value: Any) -> Iterator[Failure]:
        """Failures of one value; an unknown one has none."""
        if isinstance(value, str) and value == self.unknown:
            return
        if "any_of" in schema:
            yield from self._alternatives(path, schema["any_of"], value)
            return
        kind = schema["type"]
        fits = FITS[kind]
        if not fits(value):
            yield Failure(path, f"must be {A[kind]}, got {shown(value)}; write {EXAMPLE[kind]}", misshapen=True)
        elif kind == "object":
            yield from self._object(path, schema, value)
        elif kind == "array":
            yield from _count(path, schema, value)
            for index, item in enumerate(value):
                yield from self.value(f"{path}[{index}]", schema["items"], item)
        elif kind == "map":
            for key, item in value.items():
                yield from self.value(join(path, key), schema["items"], item)
        elif kind != "any":
            yield from self._scalar(path, schema, value)

    def _object(self, path: str, schema: Schema, value: Mapping[str, Any]) -> Iterator[Failure]:
        name = schema.get("ref", "")
        if "one_of" in schema:
            by = schema["by"]
            consts = {self.types[option][by]["const"]: option for option in schema["one_of"]}
            got = value.get(by)
            if isinstance(got, str) and got == self.unknown:
                return
            name = consts.get(got, "") if isinstance(got, str) else ""
            if not name:
                wrong = f"got {shown(got)}" if by in value else f"it is absent (got {', '.join(sorted(value))})"
                yield Failure(join(path, by), f"must be {_one_of(list(consts))}, {wrong}; it says which kind this is")
                return
        if name:
            yield from self.properties(path, self.types[name], value, name)

    def _alternatives(self, path: str, options: list[Schema], value: Any) -> Iterator[Failure]:
        results = [list(self.value(path, option, value)) for option in options]
        if all(results):
            fitting = [result for option, result in zip(options, results, strict=True) if FITS[option["type"]](value)]
            yield from min(fitting or results, key=len)

    def _scalar(self, path: str, schema: Schema, value: Any) -> Iterator[Failure]:
        allowed = [schema["const"]] if "const" in schema else schema.get("enum")
        if allowed is not None and value not in allowed and not (self.ignore_case and _same(value, allowed)):
            meant = suggestion(str(value), map(str, allowed))
            change = f'; did you mean "{meant}"?' if meant else f"; write {shown(allowed[0])}, for example"
            yield Failure(path, f"must be {_one_of(allowed)}, got {shown(value)}{change}")
        if isinstance(value, str):
            yield from _text(path, schema, value)
        elif not isinstance(value, bool):
            yield from _number(path, schema, value)


def _stranger(name: str, known: Mapping[str, Schema], what: str, outputs: Iterable[str]) -> str:
    if name in outputs:
        return f"must not be set: it is an output of {what}, which the cloud gives; remove it"
    meant = suggestion(name, known)
    change = f'did you mean "{meant}"?' if meant else f"known are {', '.join(sorted(known)[:12])}"
    return f"must not be set: {what} has no such property; {change}"


def _same(value: Any, allowed: list[Any]) -> bool:
    return isinstance(value, str) and value.casefold() in {str(item).casefold() for item in allowed}


def _one_of(values: list[Any]) -> str:
    quoted = [shown(value) for value in values[:12]]
    more = ", …" if len(values) > len(quoted) else ""
    return quoted[0] if len(values) == 1 else "one of " + ", ".join(quoted) + more


def _count(path: str, schema: Schema, value: list[Any]) -> Iterator[Failure]:
    low, high = schema.get("min_items", 0), schema.get("max_items")
    if len(value) < low or (high is not None and len(value) > high):
        yield Failure(path, f"must hold {_between(low, high)} items, got {len(value)}; add or remove some")
    if schema.get("unique") and len({shown(item) for item in value}) < len(value):
        yield Failure(path, "must hold no item twice; remove the second one")


def _text(path: str, schema: Schema, value: str) -> Iterator[Failure]:
    low, high = schema.get("min_length", 0), schema.get("max_length")
    if len(value) < low or (high is not None and len(value) > high):
        change = "shorten it" if len(value) >= low else "lengthen it"
        yield Failure(path, f"must have {_between(low, high)} characters, got {len(value)} ({shown(value)}); {change}")
    pattern = schema.get("pattern")
    if pattern and not _compiled(pattern).search(value):
        yield Failure(path, f"must match {pattern}, got {shown(value)}; change the characters that do not fit")


def _number(path: str, schema: Schema, value: float) -> Iterator[Failure]:
    low, high = schema.get("min"), schema.get("max")
    if (low is not None and value < low) or (high is not None and value > high):
        nearest = low if low is not None and value < low else high
        yield Failure(path, f"must be {_between(low, high)}, got {value}; write {nearest}")
    below, above, multiple = schema.get("below"), schema.get("above"), schema.get("multiple")
    if (below is not None and value >= below) or (above is not None and value <= above):
        bounds = [f"{word} {bound}" for word, bound in (("above", above), ("below", below)) if bound is not None]
        yield Failure(path, f"must be {' and '.join(bounds)}, got {value}; change it")
    if multiple and value % multiple:
        yield Failure(path, f"must be a multiple of {multiple}, got {value}; write {value - value % multiple}")


def _between(low: Any, high: Any) -> str:
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"


def _is_int(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


FITS: dict[str, Callable[[Any], bool]] = {
    "any": lambda _: True,
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_int,
    "map": lambda value: isinstance(value, Mapping),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, Mapping),
    "string": lambda value: isinstance(value, str),
}
A = {kind: f"{'an' if kind[0] in 'aio' else 'a'} {kind}" for kind in FITS} | {"any": "a value"}
EXAMPLE = {
    "any": "anything",
    "array": "a list",
    "boolean": "True or False",
    "integer": "a whole number without quotes",
    "map": "a dict",
    "number": "a number without quotes",
    "object": "a dict",
    "string": "it in quotes",
}
