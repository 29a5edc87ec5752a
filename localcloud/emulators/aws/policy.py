"""IAM policy documents: reading them strictly, and deciding whether they allow an action.

Covers what identity, trust, bucket and queue policies here use: Effect, (Not)Action, (Not)Resource, Principal, and the
condition operators and keys below, operators with `IfExists`; no policy variables, no NotPrincipal, no set operators. A
document with anything else is refused when it is put, not ignored when it matters. Evaluation follows *Policy
evaluation logic*: an explicit Deny wins, then any Allow, else nothing.
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
_KEYS: Final = {
    "aws:principalaccount",
    "aws:principalarn",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
    "s3:prefix",
    "s3:delimiter",
    "s3:max-keys",
}
"""Condition keys whose values this cloud fills in. A key it never fills would make a Deny that never applies, or an
Allow by a negative operator that always does: a policy with one is refused when it is put.
"""
_FEDERATED_KEY: Final = re.compile(r"[a-z0-9./-]+:(aud|sub|oid|appid|tid)")
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
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{owner}: the policy must be JSON, got {str(document)[:80]!r}.") from error
    if not isinstance(raw, dict) or set(raw) - {"Version", "Id", "Statement"}:
        raise ValueError(f"{owner}: the policy must be an object of Version, Id and Statement, got {str(raw)[:80]!r}.")
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
    _check_elements(raw, owner)
    return Statement(
        effect=raw["Effect"],
        actions=_many(raw.get("NotAction", raw.get("Action", []))),
        resources=_many(raw.get("NotResource", raw.get("Resource", []))),
        principals=_principals(raw.get("Principal"), owner),
        conditions=_conditions(raw.get("Condition", {}), owner),
        not_actions="NotAction" in raw,
        not_resources="NotResource" in raw,
    )


def _check_elements(raw: dict[str, Any], owner: str) -> None:
    """Each element of a kind this cloud enforces, and of Action and Resource one form only, never both."""
    if not isinstance(raw, dict):  # as every other refusal of a document
        raise ValueError(f"{owner}: a statement must be an object, got {str(raw)[:80]!r}.")  # noqa: TRY004
    unknown = set(raw) - _STATEMENT_KEYS
    if unknown or raw.get("Effect") not in {"Allow", "Deny"}:
        wrong = f"the elements {sorted(unknown)}" if unknown else f"Effect {raw.get('Effect')!r}"
        raise ValueError(
            f"{owner}: a statement may hold {sorted(_STATEMENT_KEYS)} with Effect Allow or Deny, got {wrong}."
        )
    for one in ("Action", "Resource"):
        both = [name for name in (one, f"Not{one}") if name in raw]
        if len(both) == 2 or (one == "Action" and not both):
            raise ValueError(f"{owner}: a statement must have either {one} or Not{one}, got {both or 'neither'}.")
        for name in both:
            values = _many(raw[name])
            if not values or not all(isinstance(value, str) for value in values):
                raise ValueError(f"{owner}: {name} must be a text or a list of texts, got {str(raw[name])[:80]!r}.")
            variables = [value for value in values if "${" in value]
            if variables:
                raise ValueError(f"{owner}: policy variables are not evaluated here, got {name} {variables[0]!r}; "
                                 "name what you mean.")  # fmt: skip


def _principals(raw: Any, owner: str) -> dict[str, list[str]] | None:
    if raw is None:
        return None
    found = {"AWS": ["*"]} if raw == "*" else raw
    if not isinstance(found, dict) or set(found) - {"AWS", "Service", "Federated"}:
        raise ValueError(f'{owner}: Principal must be "*" or name AWS, Service or Federated, got {str(raw)[:80]!r}.')
    return {kind: _many(names) for kind, names in found.items()}


def _conditions(raw: Any, owner: str) -> list[tuple[str, str, list[str]]]:
    if not isinstance(raw, dict) or not all(isinstance(tests, dict) and tests for tests in raw.values()):
        raise ValueError(f"{owner}: Condition must be {{operator: {{key: value}}}}, got {str(raw)[:80]!r}.")
    conditions = []
    for operator, tests in raw.items():
        plain = operator.removesuffix("IfExists")
        if plain not in _POSITIVE | _NEGATIVE:
            known = ", ".join(sorted(_POSITIVE | _NEGATIVE))
            raise ValueError(
                f"{owner}: the condition operator must be one of {known} (with or without IfExists), got {operator}."
            )
        for key, values in tests.items():
            if key.lower() not in _KEYS and not _FEDERATED_KEY.fullmatch(key.lower()):
                raise ValueError(
                    f"{owner}: the condition key must be one whose value this cloud knows ({', '.join(sorted(_KEYS))} "
                    f"or a claim of a web identity), got {key}."
                )
            texts = [_text(value) for value in _many(values)]
            if any("${" in text for text in texts):
                raise ValueError(f"{owner}: policy variables are not evaluated here, got {key} {texts}.")
            conditions.append((operator, key.lower(), texts))
    return conditions


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
