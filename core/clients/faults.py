"""How a call to the outside can fail, seen by what the caller should do next."""

from __future__ import annotations


class Fault(Exception):  # noqa: N818 - the kinds below read as words: Transient, Denied, Gone
    """Base of all of them; the text says who refused and with what answer."""


class Transient(Fault):
    """Network, throttling, a server's own fault, expired credentials: the same call may succeed later."""


class Corrupt(Transient):
    """What arrived is not what the other side keeps: nothing of it counts."""


class InDoubt(Transient):
    """The request left, its answer never arrived: it may have taken effect."""


class Refused(Fault):
    """The other side will not take this request, and says so for good."""


class Denied(Fault):
    """This identity may not do that."""


class Gone(Fault):
    """The thing does not exist (any more)."""


class Changed(Fault):
    """Somebody else changed the thing since it was read (a failed precondition)."""
