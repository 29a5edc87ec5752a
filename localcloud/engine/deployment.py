"""One run of the embedded engine: each registration becomes same, create, update or replace; what is left over goes.

Knows providers only by the `Provider` protocol and resources only by urn. A preview takes the same path, asks the
providers to check, and changes nothing.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Literal

import msgspec

from localcloud.engine.aliases import Alias, former_urns
from localcloud.engine.provider import (
    DYNAMIC_PREFIX,
    PROVIDER_KEY,
    Difference,
    DynamicResources,
    Made,
    Provider,
    Refused,
)
from localcloud.engine.state import Record, State
from localcloud.engine.values import MASK, Values

Step = Literal["create", "update", "replace", "delete", "same", "failed"]
Progress = Callable[[Step, Record], None]
PROVIDER_TYPE = "pulumi:providers:"


class Wanted(msgspec.Struct, kw_only=True):
    """A resource as the program registers it, transforms already applied."""

    type: str
    name: str
    custom: bool
    parent: str
    inputs: Values
    shown: Values
    secrets: list[str] = []
    """Texts that no message may quote."""
    dependencies: list[str]
    protect: bool = False
    retain_on_delete: bool = False
    ignore_changes: list[str] = []
    replace_on_changes: list[str] = []
    aliases: list[Alias] = []


class Deployment:
    """Applies registrations as they arrive (on many threads) and then removes what was not registered again."""

    def __init__(
        self, *, project: str, stack: str, cloud: Provider, state: State | None, preview: bool, progress: Progress
    ) -> None:
        """`state` None means: nothing exists yet (a preview of a stack that lives elsewhere)."""
        self._project, self._stack = project, stack
        self._cloud, self._dynamic = cloud, DynamicResources()
        self._state, self._preview, self._progress = state, preview, progress
        self._old = state.records() if state else {}
        self._mutex = threading.Lock()
        self.registered: dict[str, Record] = {}
        self.shown: dict[str, Values] = {}
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self._failed: set[str] = set()
        self._anew: set[str] = set()
        self._former: dict[str, list[str]] = {}
        self._renamed: set[str] = set()

    def urn(self, type_: str, name: str, parent: str) -> str:
        """Pulumi's urn: `urn:pulumi:stack::project::ParentType$Type::name`; the stack itself is in no type chain."""
        above = parent.split("::")[2] if parent else ""
        chain = type_ if not above or above == "pulumi:pulumi:Stack" else f"{above}${type_}"
        return f"urn:pulumi:{self._stack}::{self._project}::{chain}::{name}"

    def register(self, wanted: Wanted) -> Record:
        """Make one resource so; raises `Refused` with a message for people (also when something it needs failed)."""
        urn = self.urn(wanted.type, wanted.name, wanted.parent)
        record = Record(
            urn=urn,
            type=wanted.type,
            name=wanted.name,
            custom=wanted.custom,
            order=self._claim(urn, wanted),
            parent=wanted.parent,
            inputs=wanted.inputs,
            dependencies=sorted(set(wanted.dependencies)),
            protect=wanted.protect,
            retain_on_delete=wanted.retain_on_delete,
            replace_on_changes=wanted.replace_on_changes,
        )
        before = self._known_as(urn, wanted)
        try:
            step = self._settle(record, wanted, self._old.get(before))
        except Refused as error:
            message = str(error)
            for text in wanted.secrets:
                message = message.replace(text, MASK)
            refused = Refused(message)
            self.fail(record, refused)
            raise refused from error
        self.registered[urn] = record
        if step in ("create", "replace"):
            self._anew.add(urn)
        if self._state and not self._preview:
            self._state.put(record)
            if before != urn:
                self._state.remove(before)
        if wanted.custom and not wanted.type.startswith(PROVIDER_TYPE):
            self._count(step, record)
        return record

    def _known_as(self, urn: str, wanted: Wanted) -> str:
        """The urn under which an earlier run recorded it: its own, or one of its aliases'."""
        former = former_urns(
            type_=wanted.type,
            name=wanted.name,
            parent=wanted.parent,
            aliases=wanted.aliases,
            parents_before=self._former.get(wanted.parent, []),
            urn=self.urn,
        )
        with self._mutex:
            self._former[urn] = former
            known = [one for one in (urn, *former) if one in self._old and one not in self._renamed]
            if known and known[0] != urn:
                self._renamed.add(known[0])
        return known[0] if known else urn

    def fail(self, record: Record, error: Refused) -> None:
        """Keep why a resource was not made: what needs it is skipped, the run fails, nothing is removed."""
        with self._mutex:
            self._failed.add(record.urn)
            self.failures.append(f"{record.type} {record.name}: {error}")
        self._progress("failed", record)

    def finish_component(self, urn: str, outputs: Values) -> None:
        """Keep what a component (or the stack) says of itself at its end."""
        record = self.registered[urn]
        record.outputs = outputs
        if self._state and not self._preview:
            self._state.put(record)

    def remove_leftovers(self, *, keep: Callable[[Record, dict[str, Record]], bool]) -> None:
        """Delete what an earlier run made and this one did not register, last made first.

        `keep` may spare records (those of systems that this run left out).
        """
        leftovers = [
            record for urn, record in self._old.items() if urn not in self.registered | dict.fromkeys(self._renamed)
        ]
        kept = {(record.type, record.id) for record in self.registered.values()}
        for record in sorted(leftovers, key=lambda record: record.order, reverse=True):
            if keep(record, self._old):
                continue
            if record.protect:
                self.failures.append(
                    f"{record.type} {record.name}: is protected and the program no longer declares it; "
                    "declare it again, or take protect off in one run and remove it in the next"
                )
                continue
            if record.custom and not record.type.startswith(PROVIDER_TYPE):
                # Another name in the program, the same thing in the cloud: it stays.
                if (record.type, record.id) not in kept:
                    self._delete(record)
                self._count("delete", record)
            if self._state and not self._preview:
                self._state.remove(record.urn)

    def _claim(self, urn: str, wanted: Wanted) -> int:
        with self._mutex:
            if urn in self.shown:
                message = f"{wanted.type} {wanted.name} is declared twice; give one of them another name"
                self.failures.append(message)
                raise Refused(message)
            self.shown[urn] = wanted.shown
            return len(self.shown)

    def _count(self, step: Step, record: Record) -> None:
        with self._mutex:
            self.counts[step] += 1
        self._progress(step, record)

    def _provider(self, type_: str) -> Provider:
        return self._dynamic if type_.startswith(DYNAMIC_PREFIX) else self._cloud

    def _settle(self, record: Record, wanted: Wanted, old: Record | None) -> Step:
        broken = self._failed.intersection([*record.dependencies, record.parent])
        if broken:
            raise Refused(f"not attempted: it needs {', '.join(sorted(urn.split('::')[-1] for urn in broken))}")
        if not wanted.custom:
            return "same"
        if wanted.type.startswith(PROVIDER_TYPE):
            record.id = old.id if old else str(uuid.uuid4())
            record.outputs = dict(record.inputs)
            return "same"
        provider = self._provider(record.type)
        if old:
            _ignore(wanted.ignore_changes, old.inputs, record.inputs)
        checked = provider.check(record.type, record.name, old.inputs if old else None, record.inputs)
        if checked.failures:
            raise Refused("; ".join(f"{f.property}: {f.reason}" if f.property else f.reason for f in checked.failures))
        record.inputs = checked.inputs
        # A record is no proof: another engine may have destroyed it, or somebody deleted it.
        gone = old is not None and provider is self._cloud and provider.read(record.type, old.id) is None
        if old is None or not old.id or gone:
            self._take(record, provider.create(record.type, record.name, record.inputs, preview=self._preview))
            return "create"
        return self._change(provider, old, record, wanted)

    def _change(self, provider: Provider, old: Record, record: Record, wanted: Wanted) -> Step:
        before = old.inputs
        if provider is self._dynamic:
            before = old.outputs
            difference = self._dynamic.compare(old.id, old.inputs, old.outputs, record.inputs)
        else:
            difference = provider.diff(record.type, old.id, old.inputs, record.inputs)
        # What a dynamic resource did to something (published to it, filled it) went when that was made anew.
        again = provider is self._dynamic and not self._anew.isdisjoint(record.dependencies)
        if not difference.changed and not again:
            record.id, record.outputs = old.id, old.outputs
            return "same"
        replaces = replaced_by(difference, wanted.replace_on_changes)
        if not replaces:
            made = provider.update(record.type, old.id, before, record.inputs, preview=self._preview)
            self._take(record, made)
            return "update"
        if old.protect:
            raise Refused(f"is protected, and a change of {', '.join(replaces)} would replace it")
        if difference.delete_first:
            self._delete(old)
        self._take(record, provider.create(record.type, record.name, record.inputs, preview=self._preview))
        if not difference.delete_first and record.id != old.id:
            self._delete(old)
        return "replace"

    def _take(self, record: Record, made: Made) -> None:
        record.id = made.id
        record.outputs = made.outputs
        if PROVIDER_KEY in record.inputs:
            # A later delete needs the resource's code again.
            record.outputs = {**made.outputs, PROVIDER_KEY: record.inputs[PROVIDER_KEY]}

    def _delete(self, record: Record) -> None:
        if record.id and not record.retain_on_delete and not self._preview:
            self._provider(record.type).delete(record.type, record.id, record.outputs)


def replaced_by(difference: Difference, replace_on_changes: list[str]) -> list[str]:
    """The changed properties for which a resource is replaced: the provider's, and those that the program names."""
    forced = [
        path
        for path in difference.changed
        if any(
            pattern in ("*", path) or path.startswith((f"{pattern}.", f"{pattern}[")) for pattern in replace_on_changes
        )
    ]
    return [*difference.replaces, *(path for path in forced if path not in difference.replaces)]


def _ignore(paths: list[str], old: Values, new: Values) -> None:
    """Keep the old value at each dotted path (`ignoreChanges`)."""
    for path in paths:
        *above, last = path.split(".")
        source, target = old, new
        for part in above:
            source, target = source.get(part, {}), target.get(part, {})
            if not isinstance(source, dict) or not isinstance(target, dict):
                break
        else:
            if last in source:
                target[last] = source[last]
            else:
                target.pop(last, None)
