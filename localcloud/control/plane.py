"""The running control plane: every cloud resource, recorded in one SQLite file and made real in the emulators.

Knows no engine: what it is told by one, another can read, change and delete by id. After a restart it tells the
emulators again everything it has recorded; each emulator's own data (objects, messages, rows) is its own.
"""

import logging
import sqlite3
from pathlib import Path

import msgspec

from localcloud.control import functions, rules
from localcloud.control.kinds import Locality, Subject, Values
from localcloud.control.table import kind_of
from localcloud.engine.provider import Checked, Difference, Made, Refused

LOG = logging.getLogger(__name__)


class Resource(msgspec.Struct, kw_only=True):
    """One recorded resource."""

    type: str
    id: str
    name: str
    inputs: Values
    outputs: Values

    def subject(self) -> Subject:
        """As a `Kind` sees it."""
        return Subject(id=self.id, name=self.name, inputs=self.inputs, outputs=self.outputs)


class ControlPlane:
    """Answers the engines' calls; async because emulators do real work."""

    def __init__(self, file: Path, here: Locality, *, deployer_id: str) -> None:
        """`deployer_id`: the object id of who deploys here."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        self._here, self._deployer_id = here, deployer_id
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS resource "
            "(number INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT, id TEXT, record BLOB, UNIQUE (type, id))"
        )

    def close(self) -> None:
        """Close the record; it is on disk already."""
        self._db.close()

    def resources(self) -> list[Resource]:
        """Everything that exists, oldest first."""
        rows = self._db.execute("SELECT record FROM resource ORDER BY number").fetchall()
        return [msgspec.json.decode(row[0], type=Resource) for row in rows]

    async def replay(self) -> None:
        """Tell freshly started emulators what exists."""
        for resource in self.resources():
            try:
                await self._put(resource)
            except Refused as error:
                # Others went behind our back (a queue without its policy): a refresh tells, a start must not fail.
                LOG.warning("%s %s could not be made again: %s", resource.type, resource.id, error)

    def check(
        self,
        type_: str,
        name: str,
        old: Values | None,
        inputs: Values,
        *,
        defaults: Values | None = None,
        seed: str = "",
    ) -> Checked:
        """See rules.check."""
        given = {**self._place_of_group(inputs), **(defaults or {})}
        # The local region is what the emulators say without being told; another one is the provider's own.
        if given.get("region") == self._here.tenancy.aws_region:
            del given["region"]
        return rules.check(type_, name, old, inputs, siblings=self._inputs_of, defaults=given, seed=seed)

    def diff(self, type_: str, id_: str, old: Values, new: Values) -> Difference:
        """See rules.diff."""
        del id_
        return rules.diff(type_, old, new)

    async def create(self, type_: str, name: str, inputs: Values, *, preview: bool) -> Made:
        """Make it and record it. Creating what exists changes it to these inputs, as a PUT does on Azure."""
        made = rules.made(self._here, type_, name, inputs, preview=preview)
        if preview:
            return made
        outputs = await self._put(Resource(type=type_, id=made.id, name=name, inputs=inputs, outputs=made.outputs))
        return Made(made.id, outputs)

    async def update(self, type_: str, id_: str, old: Values, new: Values, *, preview: bool) -> Made:
        """Change it in place; refuses what does not exist."""
        del old
        before = self._find(type_, id_)
        if before is None:
            raise Refused(f"{type_} {id_}: does not exist any more; run refresh, or reset the local cloud")
        rules.refuse_update(type_, before.inputs, new)
        if preview:
            return Made(id_, rules.changed(type_, before.inputs, before.outputs, new))
        made = rules.made(self._here, type_, before.name, new, preview=False)
        outputs = await self._put(Resource(type=type_, id=id_, name=before.name, inputs=new, outputs=made.outputs))
        return Made(id_, outputs)

    async def read(self, type_: str, id_: str) -> Made | None:
        """What is there: the record, corrected by what the emulators say where others can change it."""
        found = self._find(type_, id_)
        look = kind_of(type_).look
        if found is None or look is None:
            return Made(found.id, found.outputs, found.inputs) if found else None
        inputs = await look(self._here, found.subject())
        if inputs is None:
            return None
        return Made(found.id, rules.changed(type_, found.inputs, found.outputs, inputs), inputs)

    async def delete(self, type_: str, id_: str) -> None:
        """Remove it and what it holds, first in the emulators; gone already is no error."""
        found = self._find(type_, id_)
        if found is None:
            return
        self._refuse_locked(id_)
        for part in reversed(self._held_by(found)):
            await self._remove(part)
        await self._remove(found)

    async def _remove(self, found: Resource) -> None:
        remove = kind_of(found.type).remove
        if remove:
            await remove(self._here, found.subject())
        self._forget(found)

    def _refuse_locked(self, id_: str) -> None:
        """A management lock stands on what it names, on everything in it, and in the way of what it is in."""
        rows = self._db.execute("SELECT record FROM resource WHERE type = ?", (rules.LOCK,)).fetchall()
        for lock in (msgspec.json.decode(row[0], type=Resource) for row in rows):
            reason = rules.locked(lock.id, str(lock.inputs["scope"]), id_)
            if reason:
                raise Refused(reason)

    def invoke(self, token: str, args: Values) -> Values:
        """A provider's function."""
        return functions.call(token, functions.Asked(args, self._here.tenancy, self._deployer_id), self._lookup)

    def _lookup(self, type_: str, args: Values) -> Values | None:
        """What a `getX` function finds: the resource that would have the id that these arguments make."""
        try:
            id_ = rules.id_of(self._here, type_, Subject(name="", inputs=args))
        except (KeyError, Refused):
            return None
        found = self._find(type_, id_)
        return {**found.outputs, "id": found.id} if found else None

    def _place_of_group(self, inputs: Values) -> Values:
        """Azure's own provider puts a resource where its group is, unless somebody says otherwise."""
        subscription, group = self._here.tenancy.subscription_id, inputs.get("resourceGroupName")
        found = self._inputs_of(f"/subscriptions/{subscription}/resourceGroups/{group}") if group else None
        return {"location": found["location"]} if found and "location" in found else {}

    def _held_by(self, above: Resource) -> list[Resource]:
        """What goes with it, oldest first: on Azure whatever lies below its id, on AWS what its `Kind` names."""
        below, same = (f"{above.id}/".lower(), f"{above.id}:".lower()), kind_of(above.type).parts
        return [
            one
            for one in self.resources()
            if (one.id.lower().startswith(below[0]) and above.type.startswith("azure-native:"))
            or (one.type in same and (one.id == above.id or one.id.lower().startswith(below[1])))
        ]

    def _inputs_of(self, id_: str) -> Values | None:
        row = self._db.execute("SELECT record FROM resource WHERE id = ?", (id_,)).fetchone()
        return msgspec.json.decode(row[0], type=Resource).inputs if row else None

    def _find(self, type_: str, id_: str) -> Resource | None:
        row = self._db.execute("SELECT record FROM resource WHERE type = ? AND id = ?", (type_, id_)).fetchone()
        return msgspec.json.decode(row[0], type=Resource) if row else None

    async def _put(self, resource: Resource) -> Values:
        """Record and apply; answers the outputs."""
        # Recorded before it is applied: a crash in between leaves a record, and the next start applies it.
        before = self._find(resource.type, resource.id)
        self._record(resource)
        apply = kind_of(resource.type).apply
        if apply is None:
            return resource.outputs
        try:
            more = await apply(self._here, resource.subject())
        except (ValueError, LookupError) as error:
            # What was refused does not exist: left in the record, it would be refused again at every start.
            self._forget(resource)
            if before:
                self._record(before)
            absent = f"{resource.type} {resource.name}: {error} must be set for it to be made here; set it"
            raise Refused(absent if isinstance(error, KeyError) else str(error)) from error
        if more:
            resource.outputs = {**resource.outputs, **more}
            self._record(resource)
        return resource.outputs

    def _forget(self, resource: Resource) -> None:
        self._db.execute("DELETE FROM resource WHERE type = ? AND id = ?", (resource.type, resource.id))

    def _record(self, resource: Resource) -> None:
        self._db.execute(
            "INSERT INTO resource (type, id, record) VALUES (?, ?, ?) "
            "ON CONFLICT (type, id) DO UPDATE SET record = excluded.record",
            (resource.type, resource.id, msgspec.json.encode(resource)),
        )
