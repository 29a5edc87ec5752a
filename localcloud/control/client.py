"""The engines' side of the control plane's API: a `Provider` that knocks on the supervisor's door. Blocking."""

import http.client
import threading
from typing import Any, TypeVar

import msgspec

from localcloud.control.address import Address
from localcloud.engine.provider import Checked, Difference, Made, Refused
from localcloud.engine.values import Values

T = TypeVar("T")
TIMEOUT_S = 120  # publishing and first starts take seconds; a hung supervisor must not hang its caller for ever


class Read(msgspec.Struct):
    """A read's answer; `found` is None when nothing is there."""

    found: Made | None


class Unreachable(Exception):  # noqa: N818  reads as what happened
    """The supervisor does not answer."""


class Supervisor:
    """JSON over one kept connection a thread."""

    def __init__(self, address: Address) -> None:
        """`address`: where the supervisor listens, and its secret."""
        self._address = address
        self._local = threading.local()

    def call(self, method: str, path: str, body: Any, type_: type[T]) -> T:
        """One call; raises `Refused` with the supervisor's message, `Unreachable` when nobody answers."""
        status, payload = self._exchange(method, path, msgspec.json.encode(body))
        if status == http.HTTPStatus.OK:
            return msgspec.json.decode(payload, type=type_)
        try:
            message = str(msgspec.json.decode(payload)["refused"])
        except (msgspec.DecodeError, KeyError, TypeError):
            message = f"{method} {path}: the local cloud answered {status}: {payload[:500].decode(errors='replace')}"
        raise Refused(message)

    def close(self) -> None:
        """Close this thread's connection; a later call opens another."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()

    def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._address.secret}", "Content-Type": "application/json"}
        for attempt in (1, 2):  # a kept connection may have been closed meanwhile: once more on a fresh one
            connection = getattr(self._local, "connection", None)
            fresh = connection is None
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self._address.port, timeout=TIMEOUT_S)
                self._local.connection = connection
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                return response.status, response.read()
            except (ConnectionError, http.client.HTTPException) as error:
                connection.close()
                self._local.connection = None
                if fresh or attempt == 2:
                    raise Unreachable(
                        f"the local cloud does not answer on port {self._address.port} ({error!r}); "
                        "see ./millrace status, or start it with ./millrace up"
                    ) from error
        raise AssertionError("unreachable: both attempts returned or raised")


class ControlClient:
    """The seven calls of a `Provider`, over the supervisor's API."""

    def __init__(self, supervisor: Supervisor) -> None:
        """One for any number of threads."""
        self._supervisor = supervisor

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
        """See Provider.check; `defaults` and `seed` as in rules.check."""
        more = {"defaults": defaults or {}, "seed": seed}
        return self._call("check", Checked, type=type_, name=name, old=old, inputs=inputs, **more)

    def diff(self, type_: str, id_: str, old: Values, new: Values) -> Difference:
        """See Provider.diff."""
        return self._call("diff", Difference, type=type_, id=id_, old=old, inputs=new)

    def create(self, type_: str, name: str, inputs: Values, *, preview: bool) -> Made:
        """See Provider.create."""
        return self._call("create", Made, type=type_, name=name, inputs=inputs, preview=preview)

    def read(self, type_: str, id_: str) -> Made | None:
        """See Provider.read."""
        return self._call("read", Read, type=type_, id=id_).found

    def update(self, type_: str, id_: str, old: Values, new: Values, *, preview: bool) -> Made:
        """See Provider.update."""
        return self._call("update", Made, type=type_, id=id_, old=old, inputs=new, preview=preview)

    def delete(self, type_: str, id_: str, outputs: Values) -> None:
        """See Provider.delete."""
        del outputs
        self._call("delete", object, type=type_, id=id_)

    def invoke(self, token: str, args: Values) -> Values:
        """See Provider.invoke."""
        return self._call("invoke", dict[str, Any], name=token, inputs=args)

    def _call(self, call: str, answer: type[T], **arguments: Any) -> T:
        return self._supervisor.call("POST", f"/control/{call}", arguments, answer)
