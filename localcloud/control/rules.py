"""What the control plane knows without any emulator: checks, ids, differences, outputs. Pure; a preview uses it alone.

Both the running plane (plane.py) and the offline one (offline.py) answer through these functions, so a preview refuses
exactly what an `up` would refuse.
"""

import hashlib
import json
import uuid
from collections.abc import Callable

from localcloud.control import check as constraints
from localcloud.control.check_rules_bus import FIXED
from localcloud.control.kinds import Place, Subject, Values
from localcloud.control.table import kind_of
from localcloud.engine.provider import Checked, Difference, Failure, Made, Refused
from localcloud.engine.values import UNKNOWN, changed_paths

BUS = "azure-native:servicebus:"
LOCK = "azure-native:authorization:ManagementLockByScope"
LOCKS = "/providers/microsoft.authorization/locks/"
FIXED_TIERS = {"Dynamic", "FlexConsumption"}
Siblings = Callable[[str], Values | None]


def check(
    type_: str,
    name: str,
    old: Values | None,
    inputs: Values,
    *,
    siblings: Siblings | None = None,
    defaults: Values | None = None,
    seed: str = "",
) -> Checked:
    """Inputs with a name filled in where the program leaves it open, and every reason against them.

    `siblings`: the inputs of another resource by its id, for rules that look at two (an app and its plan); `defaults`:
    what the provider's own settings say (a location, a region) for a type that takes it; `seed` keeps made names apart.
    """
    takes = constraints.describe(type_).get("inputs", {})
    filled = {key: value for key, value in (defaults or {}).items() if key in takes}
    named = _with_name(type_, name, old, {**filled, **inputs}, seed)
    # A program says name or prefix; the name made from a prefix is the cloud's own doing.
    prefix = {f"{prop}Prefix" for prop in named.keys() - inputs.keys()} & inputs.keys()
    judged = {key: value for key, value in named.items() if key not in prefix}
    result = constraints.check(type_, judged, unknown=UNKNOWN, siblings=siblings)
    return Checked(
        {**result.inputs, **{key: inputs[key] for key in prefix}},
        [Failure(failure.property_path, failure.reason) for failure in result.failures],
    )


def diff(type_: str, old: Values, new: Values) -> Difference:
    """Which properties differ, and for which of them the cloud would replace the resource."""
    changed = changed_paths(old, new)
    replaces = [path for path in changed if constraints.diff_kind(type_, [path]) == "replace"]
    return Difference(changed, replaces)


def refuse_update(type_: str, old: Values, new: Values) -> None:
    """Raise `Refused` for what the cloud itself refuses when asked to change a resource in place.

    A hosting plan keeps its way of hosting: "Cannot update ServerFarm SKU from 'Dynamic' to 'FlexConsumption'" (HTTP
    400, reported for Terraform's provider too). azure-native has no replacement for it: the program must ask for one.
    So does a Service Bus entity keep its sessions and its duplicate detection.
    """
    if type_.startswith(BUS):
        kept = [name for name in FIXED if bool(old.get(name)) != bool(new.get(name))]
        if kept:
            raise Refused(
                f"BadRequest: SubCode=40000. The value for the {kept[0]} property of an existing entity cannot be "
                f'changed; say replace_on_changes=["{kept[0]}"], which loses its messages, or declare another one'
            )
    if type_ != "azure-native:web:AppServicePlan":
        return
    before, after = (str((inputs.get("sku") or {}).get("tier", "")) for inputs in (old, new))
    if before != after and FIXED_TIERS & {before, after}:
        raise Refused(
            f"BadRequest: Cannot update ServerFarm SKU from '{before}' to '{after}'; give the plan another name, or "
            f'say replace_on_changes=["sku"], so that it is replaced together with its apps'
        )


def locked(lock: str, scope: str, id_: str) -> str:
    """Why `id_` cannot be deleted under a lock on `scope`; "" when it can. A lock itself can always be."""
    one, other = (f"{text.rstrip('/').lower()}/" for text in (scope, id_))
    if LOCKS in other or not (other.startswith(one) or one.startswith(other)):
        return ""
    return (
        f"ScopeLocked: {id_} cannot be deleted because {scope} is locked; take the lock {lock.rsplit('/', 1)[-1]} "
        "away first (pulumi config set millrace:locks false, then up)"
    )


def made(here: Place, type_: str, name: str, inputs: Values, *, preview: bool) -> Made:
    """The resource as it will be: its id and its outputs; in a preview only what the inputs already tell."""
    kind, subject = kind_of(type_), Subject(name=name, inputs=inputs)
    if preview:
        return Made("", {**kind.echo(inputs), **dict.fromkeys(kind.later, UNKNOWN)})
    subject.id = id_of(here, type_, subject)
    return Made(subject.id, _outputs(here, type_, subject))


def changed(type_: str, inputs: Values, outputs: Values, new: Values) -> Values:
    """The outputs once `inputs` have become `new`, as far as is known beforehand: what the cloud itself gave stays."""
    before, shown = kind_of(type_).echo(inputs), kind_of(type_).echo(new)
    after = {key: value for key, value in outputs.items() if key not in before or key in shown}
    for key, value in shown.items():
        given = after.get(key)
        if key in after and before.get(key) == value:
            continue
        after[key] = {**given, **value} if isinstance(given, dict) and isinstance(value, dict) else value
    return after


def id_of(here: Place, type_: str, subject: Subject) -> str:
    """The id that the cloud gives it."""
    kind = kind_of(type_)
    return kind.id_of(here, subject) if kind.id_of else arm_id(here, type_, subject.inputs)


def arm_id(here: Place, type_: str, inputs: Values) -> str:
    """Azure's resource id; refuses types that have none."""
    try:
        return constraints.arm_id(type_, inputs, here.tenancy.subscription_id)
    except KeyError as error:
        raise Refused(
            f"{type_}: the constraints give no id for it ({error}); see localcloud/control/constraints"
        ) from error


def _outputs(here: Place, type_: str, subject: Subject) -> Values:
    kind = kind_of(type_)
    base: Values = {}
    if type_.startswith("azure-native:"):
        base = {"name": subject.last, "azureApiVersion": ""}
    elif "region" in constraints.describe(type_).get("inputs", {}):
        base = {"region": here.tenancy.aws_region}
    return {**base, **kind.echo(subject.inputs), **kind.outputs(here, subject)}


def _with_name(type_: str, name: str, old: Values | None, inputs: Values, seed: str) -> Values:
    """Auto-naming in the real providers' shapes (a GUID, the logical name and some characters), kept on later runs.

    Made from the inputs instead of at random: two previews of one program are equal, and an `up` after a killed one
    finds what that one made. `seed` keeps two programs apart.
    """
    described = constraints.describe(type_)
    prop = described.get("name_property")
    if not isinstance(prop, str) or not prop or prop in inputs or prop not in described["inputs"]:
        return inputs
    if old and old.get(prop):
        return {**inputs, prop: old[prop]}
    digest = hashlib.sha256(f"{seed}{type_}:{name}:{json.dumps(inputs, sort_keys=True)}".encode()).hexdigest()
    if type_.startswith("azure-native:"):
        guid = described.get("autoname") == "uuid"
        return {**inputs, prop: str(uuid.UUID(digest[:32])) if guid else f"{name}{digest[:8]}"}
    prefix = inputs.get(f"{prop}Prefix")
    made = f"{prefix}{digest[:20]}" if prefix else f"{name}-{digest[:7]}"
    if prop == "bucket":
        made = made.lower()
    return {**inputs, prop: f"{made}.fifo" if inputs.get("fifoQueue") is True else made}
