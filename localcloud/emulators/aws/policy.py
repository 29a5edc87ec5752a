"""IAM policy documents: reading them strictly, and deciding whether they allow an action.

Covers what identity, trust, bucket and queue policies here use: Effect, (Not)Action, (Not)Resource, Principal, and the
condition operators below with `IfExists`. A document with anything else is refused when it is put, not ignored when it
matters. Evaluation follows *Policy evaluation logic*: an explicit Deny wins, then any Allow, else nothing.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

Context = Mapping[str, str]
"""Condition keys (lower case) → values of one request."""

_POSITIVE: Final = {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "Bool"}
_NEGATIVE: Final = {"StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ArnNotEquals", "ArnNotLike"}
_STATEMENT_KEYS: Final = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}


class Statement(msgspec.Struct, frozen=True):
    """One statement in one form: lists everywhere. `principals` is None in identity policies."""

    effect: str
    actions: list[str]
    resources: list[str]
    principals: dict[str, list[str]] | None
    conditions: list[tuple[str, str, list[str]]]
    not_actions: bool = False
    not_resources: bool = False

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Whether action, resource and every condition match; principals are matched apart."""
        return (
            any(_like(p.lower(), action.lower()) for p in self.actions) != self.not_actions
            and (not self.resources or any(_like(p, resource) for p in self.resources) != self.not_resources)
            and all(_holds(operator, key, values, context) for operator, key, values in self.conditions)
        )

    def names(self, kind: str, names: set[str]) -> bool:
        """Whether the Principal element holds one of `names` of this kind ("AWS", "Service", "Federated"), or `*`."""
        if self.principals is None:
            return False
        listed = self.principals.get(kind, [])
        return bool(names & set(listed)) or (kind == "AWS" and "*" in listed)


def parse(document: str | bytes, *, owner: str) -> list[Statement]:
    """The statements of a policy document; ValueError naming `owner` for one this cloud could not enforce."""
    try:
        raw = json.loads(document)
    except ValueError as error:
        raise ValueError(f"{owner}: the policy must be JSON, got {str(document)[:80]!r}.") from error
    if raw.get("Version") not in {"2012-10-17", "2008-10-17"}:
        raise ValueError(f'{owner}: the policy\'s Version must be "2012-10-17", got {raw.get("Version")!r}.')
    return [_statement(item, owner) for item in _many(raw.get("Statement", []))]


def decide(statements: list[Statement], action: str, resource: str, context: Context) -> str | None:
    """`Deny`, `Allow` or None over statements whose principals already match."""
    covering = [s.effect for s in statements if s.covers(action, resource, context)]
    if "Deny" in covering:
        return "Deny"
    return "Allow" if covering else None


def _statement(raw: dict[str, Any], owner: str) -> Statement:
    unknown = set(raw) - _STATEMENT_KEYS
    if unknown or raw.get("Effect") not in {"Allow", "Deny"}:
        wrong = f"the elements {sorted(unknown)}" if unknown else f"Effect {raw.get('Effect')!r}"
        raise ValueError(
            f"{owner}: a statement may hold {sorted(_STATEMENT_KEYS)} with Effect Allow or Deny, got {wrong}."
        )
    principal = raw.get("Principal")
    if principal is not None:
        principal = {"AWS": ["*"]} if principal == "*" else {kind: _many(names) for kind, names in principal.items()}
    conditions = []
    for operator, tests in raw.get("Condition", {}).items():
        plain = operator.removesuffix("IfExists")
        if plain not in _POSITIVE | _NEGATIVE:
            known = ", ".join(sorted(_POSITIVE | _NEGATIVE))
            raise ValueError(
                f"{owner}: the condition operator must be one of {known} (with or without IfExists), got {operator}."
            )
        conditions += [
            (operator, key.lower(), [_text(value) for value in _many(values)]) for key, values in tests.items()
        ]
    return Statement(
        effect=raw["Effect"],
        actions=_many(raw.get("NotAction", raw.get("Action", []))),
        resources=_many(raw.get("NotResource", raw.get("Resource", []))),
        principals=principal,
        conditions=conditions,
        not_actions="NotAction" in raw,
        not_resources="NotResource" in raw,
    )


def _holds(operator: str, key: str, values: list[str], context: Context) -> bool:
    got = context.get(key)
    plain = operator.removesuffix("IfExists")
    if got is None:
        return operator != plain or plain in _NEGATIVE
    positive = plain.replace("Not", "")
    if positive in {"StringLike", "ArnLike", "ArnEquals"}:  # ArnEquals and ArnLike behave identically
        met = any(_like(value, got) for value in values)
    elif positive in {"StringEqualsIgnoreCase", "Bool"}:
        met = got.lower() in {value.lower() for value in values}
    else:
        met = got in values
    return met != (plain in _NEGATIVE)


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _like(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=2048)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
