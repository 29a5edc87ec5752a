"""Two sides of a stack compared: what the change does to its resources, packages, roles, settings and outputs. Pure."""

import msgspec

from localcloud.control import rules
from localcloud.engine.deployment import replaced_by
from localcloud.review.data import guarded_by, held_by
from localcloud.review.shapes import (
    Contents,
    PackageChange,
    Part,
    PropertyChange,
    ResourceChange,
    Risk,
    RiskKind,
    StackReview,
    StackSide,
)
from localcloud.review.values import compared, property_changes

SYSTEM_TYPE = "millrace:system:System"
FOUNDATION_TYPE = "millrace:foundation:Foundation"
ORDER = {"delete": 0, "replace": 1, "update": 2, "create": 3}


def compare(stack: str, base: StackSide | None, head: StackSide | None) -> StackReview:
    """What happens to the stack. None: that side has no settings file for it."""
    if head is None:
        return StackReview(stack=stack, state="gone")
    if head.refused:
        return StackReview(stack=stack, state="refused", refused=head.refused)
    if base is not None and base.refused:
        return StackReview(stack=stack, state="base_refused", refused=base.refused)
    old = base or StackSide(refused=[])
    resources = _resources(old, head)
    review = StackReview(
        stack=stack,
        state="new" if base is None else "same",
        resources=resources,
        risks=_risks(old, head, resources),
        packages=_packages(old.packages, head.packages),
        roles_added=sorted(set(head.roles) - set(old.roles)),
        roles_removed=sorted(set(old.roles) - set(head.roles)),
        settings=[
            compared(key, old.settings.get(key), head.settings.get(key))
            for key in sorted(old.settings.keys() | head.settings.keys())
            if old.settings.get(key) != head.settings.get(key)
        ],
        outputs_added=sorted(set(head.outputs) - set(old.outputs)),
        outputs_removed=sorted(set(old.outputs) - set(head.outputs)),
    )
    if review.state == "same" and _anything(review):
        review.state = "changed"
    return review


def _anything(review: StackReview) -> bool:
    parts = (review.resources, review.packages, review.roles_added, review.roles_removed, review.settings)
    return any(parts) or bool(review.outputs_added or review.outputs_removed)


def _resources(base: StackSide, head: StackSide) -> list[ResourceChange]:
    old, new = ({part.urn: part for part in side.parts} for side in (base, head))
    found = []
    for urn in sorted(old.keys() | new.keys()):
        before, after = old.get(urn), new.get(urn)
        change = _resource(before, after)
        if change:
            change.system, change.component = _place(change.urn, new if after else old)
            found.append(change)
    return sorted(found, key=lambda one: (one.system, one.component, ORDER[one.kind], one.type, one.name))


def _resource(before: Part | None, after: Part | None) -> ResourceChange | None:
    part = after or before
    if part is None or not part.custom:
        return None
    change = ResourceChange(
        kind="create", urn=part.urn, type=part.type, name=part.name, system="", component="",
        holds=held_by(part.type), protected=(before or part).protect,
    )  # fmt: skip
    if before is None:
        return change
    if after is None:
        change.kind = "delete"
        return change
    replaces = replaced_by(rules.diff(part.type, before.inputs, after.inputs), after.replace_on_changes)
    change.kind = "replace" if replaces else "update"
    change.properties = [
        msgspec.structs.replace(one, replaces=one.replaces or one.path in replaces)
        for one in property_changes(part.type, before.inputs, after.inputs)
    ]
    if before.protect != after.protect:
        change.properties.append(compared("(protect)", _yes(before.protect), _yes(after.protect)))
    return change if change.properties else None


def _yes(value: bool) -> str:
    return "on" if value else "off"


def _place(urn: str, parts: dict[str, Part]) -> tuple[str, str]:
    """The system that a resource belongs to and the component that declares it there (`Container failed`)."""
    component = ""
    above = parts.get(parts[urn].parent)
    while above is not None:
        if above.type == SYSTEM_TYPE:
            return above.name, component
        if above.type == FOUNDATION_TYPE:
            return "foundation", component
        if not above.custom and above.type != "pulumi:pulumi:Stack":
            component = f"{above.type.rsplit(':', 1)[-1]} {above.name}"
        above = parts.get(above.parent)
    return "the stack itself", component


def _risks(base: StackSide, head: StackSide, changes: list[ResourceChange]) -> list[Risk]:
    """Loss of data, and loss of what protects it, loudest first."""
    old, new = ({part.urn: part for part in side.parts} for side in (base, head))
    touched = {change.urn for change in changes if change.kind in ("replace", "delete")}
    risks = []
    for change in changes:
        before = old.get(change.urn)
        kind = _risk_kind(change, before, new.get(change.urn))
        if kind is None or before is None:
            continue
        inside = [] if kind == "unprotect" else _inside(change.urn, old)
        risks.append(
            Risk(
                kind=kind, type=change.type, name=change.name, system=change.system, component=change.component,
                holds=change.holds or guarded_by(change.type), protected=before.protect, retained=before.retain,
                because=[one.path for one in change.properties if one.replaces],
                with_it=sorted(f"{_short(part.type)} {part.name}" for part in inside if part.urn not in touched),
            )
        )  # fmt: skip
    loud: dict[RiskKind, int] = {"delete": 0, "replace": 1, "unprotect": 2}
    return sorted(risks, key=lambda risk: (loud[risk.kind], risk.system, risk.component, risk.name))


def _risk_kind(change: ResourceChange, before: Part | None, after: Part | None) -> RiskKind | None:
    if guarded_by(change.type) and change.kind in ("replace", "delete"):
        return "unprotect"
    if not change.holds:
        return None
    if change.kind in ("delete", "replace"):
        return change.kind
    if before and after and before.protect and not after.protect:
        return "unprotect"
    return None


def _inside(urn: str, parts: dict[str, Part]) -> list[Part]:
    """What holds data and depends on this resource, however far: a replaced account takes its containers along."""
    reached, found = {urn}, []
    grew = True
    while grew:
        grew = False
        for part in parts.values():
            if part.urn not in reached and not reached.isdisjoint(part.dependencies) and held_by(part.type):
                reached.add(part.urn)
                found.append(part)
                grew = True
    return found


def _short(type_: str) -> str:
    return type_.rsplit(":", 1)[-1]


def _packages(old: list[Contents], new: list[Contents]) -> list[PackageChange]:
    before, after = {one.app: one for one in old}, {one.app: one for one in new}
    found = [_package(app, before.get(app), after.get(app)) for app in sorted(before.keys() | after.keys())]
    return [change for change in found if change.before != change.after]


def _package(app: str, before: Contents | None, after: Contents | None) -> PackageChange:
    files = before.files if before else {}, after.files if after else {}
    target: PropertyChange | None = None
    if before and after and before.target != after.target:
        target = compared("target", before.target, after.target)
    return PackageChange(
        app=app,
        before=before.digest if before else None,
        after=after.digest if after else None,
        target=target,
        added=sorted(files[1].keys() - files[0].keys()),
        removed=sorted(files[0].keys() - files[1].keys()),
        changed=sorted(name for name in files[0].keys() & files[1].keys() if files[0][name] != files[1][name]),
        distributions=_distributions(before.distributions if before else [], after.distributions if after else []),
    )


def _distributions(old: list[str], new: list[str]) -> list[PropertyChange]:
    before, after = (dict(pin.split("==", 1) for pin in pins) for pins in (old, new))
    return [
        compared(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
