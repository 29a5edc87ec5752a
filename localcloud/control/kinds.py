"""What a resource type means locally: one small record a type, all found through `kind_of` in table.py.

Data first: a type without a `Kind` of its own is recorded and echoed, like most of a control plane. A `Kind` has code
only for what *happens* here: an endpoint given out, a container made, a role granted. To add a type: its constraints
(constraints/), and, if it does something, a `Kind` in the file of its module under types/.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from localcloud.emulators.cloud import LocalCloud

Values = dict[str, Any]


class Tenancy(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are in either cloud; locally fixed, in a preview read from the stack's settings."""

    subscription_id: str
    tenant_id: str
    aws_account: str
    aws_region: str


class Site(msgspec.Struct, frozen=True):
    """A function app as the control plane knows it."""

    id: str
    name: str
    inputs: Values


class Subject(msgspec.Struct, kw_only=True):
    """The resource a `Kind` is asked about; `name` is its logical name in the program."""

    id: str = ""
    name: str
    inputs: Values
    outputs: Values = {}

    @property
    def last(self) -> str:
        """The last part of the id: an Azure resource's own name."""
        return self.id.rsplit("/", 1)[-1]


class Place:
    """Where a resource would be: enough for its id and outputs, in a preview too."""

    def __init__(self, tenancy: Tenancy, endpoints: dict[str, str]) -> None:
        """`endpoints` by service name; empty in a preview."""
        self.tenancy, self.endpoints = tenancy, endpoints


class Apps(Protocol):
    """The function apps that run here; the supervisor, which knows hosts, supplies it."""

    async def put(self, site: Site) -> None:
        """A site was created or changed."""

    async def remove(self, name: str) -> None:
        """A site is gone."""


class Locality(Place):
    """What a `Kind` may use to make things happen: the emulators and the apps."""

    def __init__(self, tenancy: Tenancy, cloud: "LocalCloud", apps: Apps) -> None:
        """One for the whole control plane."""
        super().__init__(tenancy, cloud.endpoints)
        self.cloud, self.apps = cloud, apps


def _nothing_added(here: Place, it: Subject) -> Values:
    del here, it
    return {}


Apply = Callable[[Locality, Subject], Awaitable[Values | None]]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One type.

    `id_of`: the id, where constraints do not say it (AWS); `outputs`: what the cloud adds to the inputs;
    `echo`: the inputs as outputs show them, where the two differ in shape; `apply`: make it so, repeatable without
    change, answering outputs that only doing it tells; `remove`: undo it; `look`: the inputs as they really are now
    (None: it is gone), for what others can change behind the program's back; `later`: inputs that making it completes,
    so that a preview must not show them as they are; `parts`: types whose resources go with it, where the ids do not
    say so (AWS): those of the same id, or of one that goes on with a colon.
    """

    id_of: Callable[[Place, Subject], str] | None = None
    outputs: Callable[[Place, Subject], Values] = _nothing_added
    echo: Callable[[Values], Values] = dict
    apply: Apply | None = None
    remove: Apply | None = None
    look: Apply | None = None
    later: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
