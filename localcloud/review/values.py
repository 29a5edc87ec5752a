"""Two input values compared for people: which property, before and after, bounded, without secrets."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from localcloud.control.check import diff_kind
from localcloud.engine.values import UNKNOWN
from localcloud.review.shapes import PropertyChange

SHOWN = 100  # characters of one value; what is longer is cut around the first difference
LEAD = 20  # characters shown before that difference
_SECRET = re.compile(r"\[secret [0-9a-f]+\]")
_ABSENT = object()


def property_changes(type_: str, old: dict[str, Any], new: dict[str, Any]) -> list[PropertyChange]:
    """Every property that differs, in the order of their paths."""
    return [_change(type_, *difference) for difference in _differences("", old, new)]


def _differences(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    before, after = _parsed(before, after)
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            below = f"{path}.{key}" if path else key
            yield from _differences(below, before.get(key, _ABSENT), after.get(key, _ABSENT))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_differences(path, before, after)
    else:
        yield path, before, after


def _list_differences(path: str, before: list[Any], after: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    old, new = _by_name(before), _by_name(after)
    if old is not None and new is not None:
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(f"{path}[{key}]", old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif len(before) == len(after):
        for position, pair in enumerate(zip(before, after, strict=True)):
            yield from _differences(f"{path}[{position}]", *pair)
    else:
        gone = [item for item in before if item not in after]
        come = [item for item in after if item not in before]
        # Only the items that came and went; the whole lists where the same ones are there in other numbers.
        yield (path, gone or _ABSENT, come or _ABSENT) if gone or come else (path, before, after)


def compared(path: str, before: str | None, after: str | None) -> PropertyChange:
    """Two plain texts (settings, versions), shown like properties."""
    return _change("", path, _ABSENT if before is None else before, _ABSENT if after is None else after)


def _change(type_: str, path: str, before: Any, after: Any) -> PropertyChange:
    texts = _text(before), _text(after)
    first = _first_difference(*texts)
    return PropertyChange(
        path=path,
        before=_cut(texts[0], first),
        after=_cut(texts[1], first),
        replaces=bool(type_) and diff_kind(type_, [path]) == "replace",
    )


def _parsed(before: Any, after: Any) -> tuple[Any, Any]:
    """Policies and the like are JSON in a string: compared as what they say."""
    if isinstance(before, str) and isinstance(after, str) and before != after and before[:1] == after[:1] == "{":
        try:
            return msgspec.json.decode(before), msgspec.json.decode(after)
        except msgspec.DecodeError:
            return before, after
    return before, after


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """Items that name themselves (app settings, columns) by that name, so that one more does not shift the others."""
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        return None
    return {str(item["name"]): item["value"] if item.keys() == {"name", "value"} else item for item in items}


def _text(value: Any) -> str | None:
    if value is _ABSENT:
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
    return " ".join(_SECRET.sub("[secret]", text.replace(UNKNOWN, "known after up")).split())


def _first_difference(before: str | None, after: str | None) -> int:
    before, after = before or "", after or ""
    return next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)


def _cut(text: str | None, first: int) -> str | None:
    if text is None or len(text) <= SHOWN:
        return text
    start = max(0, first - LEAD) if first > SHOWN - LEAD else 0
    part = text[start : start + SHOWN]
    return f"{'…' if start else ''}{part}{'…' if start + SHOWN < len(text) else ''}"
