"""What an engine asks of whoever owns resources: check, diff, create, read, update, delete, invoke.

Two answer: the control plane (every cloud resource, over its loopback API) and `DynamicResources` (resources whose code
comes along in the program). An engine never knows a resource type; a provider never knows an engine.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import dill
import msgspec
from pulumi.dynamic import ResourceProvider

from localcloud.engine.values import UNKNOWN, Values, changed_paths

DYNAMIC_PREFIX = "pulumi-python:dynamic"
PROVIDER_KEY = "__provider"


class Failure(msgspec.Struct, frozen=True):
    """One reason why inputs are refused; `property` is a dotted path, empty for the resource as a whole."""

    property: str
    reason: str


class Checked(msgspec.Struct):
    """Inputs as the provider takes them, and every reason against them."""

    inputs: Values
    failures: list[Failure] = []


class Difference(msgspec.Struct):
    """Which properties differ (dotted paths) and which of them cannot change in place."""

    changed: list[str] = []
    replaces: list[str] = []
    delete_first: bool = True


class Made(msgspec.Struct):
    """A resource as it now is: its id (empty in a preview that cannot know it), its outputs, and, from a read, the
    inputs that would make it so.
    """

    id: str
    outputs: Values
    inputs: Values | None = None


class Refused(Exception):  # noqa: N818  named for what happened, as the rest of the engine reads
    """A provider refused a call; the message is for people."""


class Provider(Protocol):
    """The seven calls. All block; each raises `Refused` with a message for people."""

    def check(self, type_: str, name: str, old: Values | None, inputs: Values) -> Checked:
        """Inputs with defaults filled in, or failures; must work without any network."""

    def diff(self, type_: str, id_: str, old: Values, new: Values) -> Difference:
        """Old and new checked inputs compared."""

    def create(self, type_: str, name: str, inputs: Values, *, preview: bool) -> Made:
        """Make it; with `preview`, only say what is known of the outputs."""

    def read(self, type_: str, id_: str) -> Made | None:
        """What is there now; None when it is gone."""

    def update(self, type_: str, id_: str, old: Values, new: Values, *, preview: bool) -> Made:
        """Change it in place."""

    def delete(self, type_: str, id_: str, outputs: Values) -> None:
        """Remove it; removing what is gone is no error."""

    def invoke(self, token: str, args: Values) -> Values:
        """A function of the provider (`azure-native:authorization:getClientConfig`)."""


@contextmanager
def _its_own_code(call: str) -> Iterator[None]:
    """Whatever a dynamic resource's code raises is its refusal, in its own words."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        raise Refused(str(error) or f"{call} raised {type(error).__name__}") from error


class DynamicResources:
    """Pulumi's dynamic resources: the provider object is pickled into the inputs and runs in this process."""

    def check(self, type_: str, name: str, old: Values | None, inputs: Values) -> Checked:
        """Ask the resource's own code; its failures become ours."""
        del type_, name
        result = self._load(inputs).check(old or {}, dict(inputs))
        failures = [Failure(failure.property, failure.reason) for failure in result.failures]
        return Checked({**result.inputs, PROVIDER_KEY: inputs[PROVIDER_KEY]}, failures)

    def diff(self, type_: str, id_: str, old: Values, new: Values) -> Difference:
        """As `compare`, for a resource whose outputs are its inputs."""
        del type_
        return self.compare(id_, old, old, new)

    def compare(self, id_: str, inputs: Values, outputs: Values, new: Values) -> Difference:
        """Ask the resource's own code, which is given the old outputs, as Pulumi gives them; where it leaves a question
        open, plain comparison with the old inputs answers.
        """
        with _its_own_code("diff"):
            result = self._load(new).diff(id_, outputs, new)
        plain = [path for path in changed_paths(inputs, new) if path != PROVIDER_KEY]
        changed = plain if result.changes is None else (plain or ["*"]) if result.changes else []
        return Difference(changed, list(result.replaces or []), delete_first=bool(result.delete_before_replace))

    def create(self, type_: str, name: str, inputs: Values, *, preview: bool) -> Made:
        """Run the resource's own `create`; a preview runs nothing and knows only the inputs."""
        del type_, name
        if preview:
            return Made("", {key: value for key, value in inputs.items() if key != PROVIDER_KEY})
        with _its_own_code("create"):
            result = self._load(inputs).create(dict(inputs))
        return Made(result.id, dict(result.outs or {}))

    def read(self, type_: str, id_: str) -> Made | None:
        """Not asked by the embedded engine: it trusts its own record of dynamic resources."""
        del type_
        raise Refused(f"dynamic resource {id_}: reading needs its recorded outputs; use the real engine's refresh")

    def update(self, type_: str, id_: str, old: Values, new: Values, *, preview: bool) -> Made:
        """Run the resource's own `update`."""
        del type_
        if preview:
            return Made(id_, {key: value for key, value in new.items() if key != PROVIDER_KEY})
        with _its_own_code("update"):
            result = self._load(new).update(id_, old, new)
        return Made(id_, dict(result.outs or {}))

    def delete(self, type_: str, id_: str, outputs: Values) -> None:
        """Run the resource's own `delete`."""
        del type_
        with _its_own_code("delete"):
            self._load(outputs).delete(id_, outputs)

    def invoke(self, token: str, args: Values) -> Values:
        """Dynamic providers have no functions."""
        del args
        raise Refused(f"dynamic providers offer no functions; got {token}")

    def _load(self, values: Values) -> ResourceProvider:
        code = values.get(PROVIDER_KEY)
        if not isinstance(code, str) or code == UNKNOWN:
            raise Refused("a dynamic resource must carry its provider; it was built from something unknown")
        # The bytes come from the program that runs in this very process: no wider trust than running it.
        loaded: Any = dill.loads(base64.b64decode(code))  # noqa: S301
        if not isinstance(loaded, ResourceProvider):
            raise Refused(f"a dynamic resource's provider must be a pulumi.dynamic.ResourceProvider, got {loaded!r}")
        return loaded
