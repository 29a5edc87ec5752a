"""Under which urns a resource was known before: Pulumi's aliases, a component's carried on to its children.

A renamed or moved component must not lose what it holds: its record goes on under the new urn.
"""

from collections.abc import Callable, Iterable

import msgspec

Urn = Callable[[str, str, str], str]
"""`(type, name, parent's urn)` → urn."""


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """One alias as the program gives it; what is empty (None for `parent`) is as the resource has it now."""

    urn: str = ""
    name: str = ""
    type: str = ""
    parent: str | None = None


def former_urns(
    *, type_: str, name: str, parent: str, aliases: Iterable[Alias], parents_before: Iterable[str], urn: Urn
) -> list[str]:
    """Every urn that the resource may have had, the likeliest first; its present one is not among them.

    `parents_before`: the parent's own former urns. A child that is named after its parent was named after that
    parent's former name, as Pulumi has it.
    """
    found: list[str] = []
    for alias in [*aliases, Alias()]:
        if alias.urn:
            found.append(alias.urn)
            continue
        for above in [alias.parent] if alias.parent is not None else [parent, *parents_before]:
            named = alias.name or _named_after(name, parent, above)
            found.append(urn(alias.type or type_, named, above))
    now = urn(type_, name, parent)
    return [one for one in dict.fromkeys(found) if one != now]


def _named_after(name: str, parent: str, before: str) -> str:
    now, then = parent.rsplit("::", 1)[-1], before.rsplit("::", 1)[-1]
    return then + name.removeprefix(now) if parent and before and name.startswith(now) else name
