"""A difference as the real engine shows it: one entry a changed property, in Pulumi's own path notation.

The control plane says which properties differ and which of them force a replacement (dotted paths, see
values.changed_paths); what is added here is only notation and kind, both read off the two values themselves.
"""

import json
from typing import Any

from pulumi.runtime.proto import provider_pb2

from localcloud.engine.provider import Difference
from localcloud.engine.values import Values

Kind = provider_pb2.PropertyDiff.Kind
Change = tuple[str, str, provider_pb2.PropertyDiff.Kind.ValueType]
PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$"
_WITH_REPLACE = {Kind.ADD: Kind.ADD_REPLACE, Kind.DELETE: Kind.DELETE_REPLACE, Kind.UPDATE: Kind.UPDATE_REPLACE}


def response(difference: Difference, old: Values, new: Values) -> provider_pb2.DiffResponse:
    """The engine's answer: nothing, or every changed property with what happens to it."""
    if not difference.changed:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE, hasDetailedDiff=True)
    found = {dotted: (path, kind) for dotted, path, kind in _walk(old, new, "", "")}
    replaces = set(difference.replaces)
    detailed: dict[str, provider_pb2.PropertyDiff] = {}
    for dotted in [*difference.changed, *sorted(replaces - set(difference.changed))]:
        path, kind = found.get(dotted, (dotted, Kind.UPDATE))
        detailed[path] = provider_pb2.PropertyDiff(
            kind=_WITH_REPLACE[kind] if dotted in replaces else kind, inputDiff=True
        )
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME,
        replaces=sorted({found.get(dotted, (dotted, Kind.UPDATE))[0] for dotted in replaces}),
        diffs=sorted({_top(path) for path in detailed}),
        deleteBeforeReplace=bool(replaces) and difference.delete_first,
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


def _walk(old: Any, new: Any, dotted: str, path: str) -> list[Change]:
    """Every difference as (the control plane's path, Pulumi's path, kind); the same walk as values.changed_paths."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[Change] = []
        for key in sorted(old.keys() | new.keys()):
            below, shown = (f"{dotted}.{key}" if dotted else key), _key(path, key)
            if key not in old or key not in new:
                found.append((below, shown, Kind.ADD if key in new else Kind.DELETE))
            else:
                found += _walk(old[key], new[key], below, shown)
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            change
            for position, pair in enumerate(zip(old, new, strict=True))
            for change in _walk(*pair, f"{dotted}[{position}]", f"{path}[{position}]")
        ]
    return [] if old == new else [(dotted, path, Kind.UPDATE)]


def _key(path: str, key: str) -> str:
    if key and all(character in PLAIN for character in key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key, ensure_ascii=False)}]"


def _top(path: str) -> str:
    return path.split(".", 1)[0].split("[", 1)[0]
