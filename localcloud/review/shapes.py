"""The shapes of a review: what each side declares (snapshots), and what differs (changes). Plain values only."""

from typing import Any, Literal

import msgspec

Kind = Literal["create", "update", "replace", "delete"]
RiskKind = Literal["replace", "delete", "unprotect"]


class Part(msgspec.Struct, kw_only=True):
    """One resource of a stack as its side declares it; a secret in `inputs` is `[secret …]`."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    protect: bool
    retain: bool
    dependencies: list[str]
    inputs: dict[str, Any]
    replace_on_changes: list[str] = []


class Contents(msgspec.Struct, kw_only=True):
    """One package: its name by inputs, and what it holds (path → SHA-256; `name==version`)."""

    app: str
    digest: str
    target: str
    files: dict[str, str]
    distributions: list[str]


class StackSide(msgspec.Struct, kw_only=True):
    """A stack as one side declares it. `refused` not empty: the rest is incomplete."""

    refused: list[str]
    parts: list[Part] = []
    packages: list[Contents] = []
    roles: list[tuple[str, str, str, str]] = []
    """Who, verb, on what, by which role."""
    settings: dict[str, str] = {}
    outputs: list[str] = []
    """Names only: a value may be a secret."""


class PropertyChange(msgspec.Struct, kw_only=True, frozen=True):
    """One property; None: absent on that side. Text is bounded and free of secrets."""

    path: str
    before: str | None
    after: str | None
    replaces: bool = False


class ResourceChange(msgspec.Struct, kw_only=True):
    """What happens to one resource, and where it belongs."""

    kind: Kind
    urn: str
    type: str
    name: str
    system: str
    component: str
    holds: str
    protected: bool
    properties: list[PropertyChange] = []


class Risk(msgspec.Struct, kw_only=True):
    """A change that can lose data. `with_it`: what lies inside and goes too."""

    kind: RiskKind
    type: str
    name: str
    system: str
    component: str
    holds: str
    protected: bool
    retained: bool
    because: list[str]
    with_it: list[str] = []


class PackageChange(msgspec.Struct, kw_only=True):
    """What changed in one package; a digest of None: the package is new, or gone."""

    app: str
    before: str | None
    after: str | None
    target: PropertyChange | None
    added: list[str]
    removed: list[str]
    changed: list[str]
    distributions: list[PropertyChange]


class StackReview(msgspec.Struct, kw_only=True):
    """Everything that changes in one stack."""

    stack: str
    state: Literal["changed", "same", "refused", "new", "gone", "base_refused"]
    refused: list[str] = []
    risks: list[Risk] = []
    resources: list[ResourceChange] = []
    packages: list[PackageChange] = []
    roles_added: list[tuple[str, str, str, str]] = []
    roles_removed: list[tuple[str, str, str, str]] = []
    settings: list[PropertyChange] = []
    outputs_added: list[str] = []
    outputs_removed: list[str] = []
