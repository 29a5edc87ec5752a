"""A cloud in memory, a resource class for it, and one call that runs a program on the embedded engine."""

# ruff: noqa: ARG002  the memory cloud answers a whole protocol and needs little of it

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi

from localcloud.engine.embedded import Program, RunResult, run
from localcloud.engine.provider import Checked, Difference, Failure, Made, Refused
from localcloud.engine.state import State
from localcloud.engine.values import UNKNOWN, Values, changed_paths

TYPE = "test:index:Thing"


class MemoryCloud:
    """Keeps what it is told to make. `size` cannot change in place; what is named in `refuses` is not made."""

    def __init__(self) -> None:
        self.things: dict[str, Values] = {}
        self.calls: list[str] = []
        self.refuses: set[str] = set()
        self.delete_first = True
        self._mutex = threading.Lock()

    def check(self, type_: str, name: str, old: Values | None, inputs: Values) -> Checked:
        failures = [Failure("color", "must not be brown")] if inputs.get("color") == "brown" else []
        return Checked(inputs, failures)

    def diff(self, type_: str, id_: str, old: Values, new: Values) -> Difference:
        changed = changed_paths(old, new)
        return Difference(changed, [path for path in changed if path == "size"], delete_first=self.delete_first)

    def create(self, type_: str, name: str, inputs: Values, *, preview: bool) -> Made:
        if preview:
            return Made("", {**inputs, "secret_of_cloud": UNKNOWN})
        with self._mutex:
            self.calls.append(f"create {name}")
            if name in self.refuses:
                raise Refused("the cloud says no")
            id_ = f"{name}-{inputs.get('size', 0)}"
            self.things[id_] = {**inputs, "shout": f"{name}!"}
        return Made(id_, self.things[id_])

    def read(self, type_: str, id_: str) -> Made | None:
        found = self.things.get(id_)
        return Made(id_, found) if found is not None else None

    def update(self, type_: str, id_: str, old: Values, new: Values, *, preview: bool) -> Made:
        if not preview:
            with self._mutex:
                self.calls.append(f"update {id_}")
                self.things[id_] = {**self.things[id_], **new}
        return Made(id_, {**self.things[id_], **new})

    def delete(self, type_: str, id_: str, outputs: Values) -> None:
        with self._mutex:
            self.calls.append(f"delete {id_}")
            self.things.pop(id_, None)

    def invoke(self, token: str, args: Values) -> Values:
        return {"answer": f"{token} {args['question']}"}


class Thing(pulumi.CustomResource):
    """One resource of the memory cloud."""

    shout: pulumi.Output[str]
    color: pulumi.Output[str]
    label: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **props: Any) -> None:
        outputs = {"shout": None, "color": None, "label": None, "tags": None}
        super().__init__(TYPE, name, {**outputs, **props}, opts)


class Group(pulumi.ComponentResource):
    """A component."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Group", name, None, opts)
        self.register_outputs({})


def thing(name: str, opts: pulumi.ResourceOptions | None = None, **props: Any) -> Callable[[], None]:
    """A program that declares one thing."""

    def program() -> None:
        Thing(name, opts, **props)

    return program


class World:
    """A memory cloud and the engine's record of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cloud = folder, MemoryCloud()

    def run(self, main: Callable[[], Any], *, preview: bool = False) -> RunResult:
        """Run a program; what the cloud was asked in this run is in `cloud.calls`."""
        self.cloud.calls.clear()
        state = State(self.folder / "engine.sqlite")
        try:
            with state.only_writer():
                program = Program(root=self.folder, project="tests", stack="unit", config={})
                return run(program, cloud=self.cloud, state=state, preview=preview, main=main)
        finally:
            state.close()
