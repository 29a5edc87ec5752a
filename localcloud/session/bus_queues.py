"""Queues and subscriptions of Service Bus for a person who looks: what lies in them, what is due later, and emptying.

Everything goes through Microsoft's SDK, so that a namespace in Azure is looked at in the same way.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from azure.core.exceptions import AzureError
from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusMessageState,
    ServiceBusSubQueue,
)
from azure.servicebus.exceptions import OperationTimeoutError

from localcloud.session.bus_access import BusAccess, Entity, peeked
from localcloud.session.bus_messages import BusMessageLine, line
from localcloud.session.local import LocalCloudError, LocalStack
from localcloud.session.operator import OperatorCredential, operator
from localcloud.session.systems import namespaces

BATCH: Final = 500
WAIT_S: Final = 1.0


class Look(msgspec.Struct, kw_only=True):
    """`./millrace queue peek --json`, `queue schedule list --json`."""

    queue: str
    messages: list[BusMessageLine]
    next: int | None
    """Where to go on, with --from; None: there is no more."""


@dataclass(frozen=True, slots=True)
class Found:
    """One queue or subscription, in the namespace that has it."""

    namespace: str
    access: BusAccess
    entity: Entity


class BusQueues:
    """Of one or several namespaces."""

    def __init__(self, opened: Sequence[tuple[str, BusAccess]]) -> None:
        """`opened`: by name."""
        self._all = [Found(name, access, entity) for name, access in opened for entity in access.entities()]

    def find(self, name: str) -> Found:
        """By its name (`jobs`, `events/billing`), before which its namespace's may stand."""
        fits = [one for one in self._all if name in (one.entity.name, f"{one.namespace}/{one.entity.name}")]
        if len(fits) == 1:
            return fits[0]
        known = ", ".join(f"{one.namespace}/{one.entity.name}" for one in fits or self._all) or "none is declared"
        raise LocalCloudError(f"queue {name!r}: must be one queue or topic/subscription of Service Bus: {known}")

    def peek(self, found: Found, *, dead: bool, start: int, limit: int, session: str, scheduled: bool = False) -> Look:
        """The first `limit` messages from a sequence number on, or of these the scheduled ones; nothing is locked."""
        self._require_session(found, session, dead=dead)
        lines, after = list[BusMessageLine](), None
        with found.access.receiver(found.entity, _sub_queue(dead=dead), session=session or None) as receiver:
            for message in peeked(receiver, start):
                if scheduled and message.state is not ServiceBusMessageState.SCHEDULED:
                    continue
                if len(lines) == limit:
                    after = message.sequence_number
                    break
                lines.append(line(message))
        return Look(queue=f"{found.namespace}/{found.entity.name}", messages=lines, next=after)

    def purge(self, found: Found, *, dead: bool) -> int:
        """Removes what can be received now, of every session; answers how many."""
        sub_queue = _sub_queue(dead=dead)
        if not found.entity.sessions or dead:
            with found.access.receiver(found.entity, sub_queue, delete=True) as receiver:
                return _empty(receiver)
        return _empty_sessions(found)

    def _require_session(self, found: Found, session: str, *, dead: bool) -> None:
        if found.entity.sessions and not session and not dead:
            raise LocalCloudError(
                f"queue {found.entity.name}: has sessions, and Service Bus shows their messages one session at a time; "
                "say --session ID"
            )


@contextmanager
def bus_queues(stack: LocalStack) -> Iterator[BusQueues]:
    """Those of a running local cloud, as its operator."""
    who, _, identity = operator(stack.require())
    credential = OperatorCredential(identity)
    found = [
        (name, BusAccess(host, credential, who.endpoints["ca_file"])) for name, host in namespaces(stack.records())
    ]
    with _closing(found) as opened:
        yield opened


@contextmanager
def azure_queues(host: str) -> Iterator[BusQueues]:
    """Those of one namespace in Azure, as whoever is signed in there; see deadletters.acting.namespace_letters."""
    from azure.identity import DefaultAzureCredential  # a deploy-time dependency, and 0.3 s

    with DefaultAzureCredential() as credential:
        access = BusAccess(host, credential, os.environ.get("REQUESTS_CA_BUNDLE", ""))
        with _closing([(host.partition(".")[0], access)]) as opened:
            yield opened


@contextmanager
def _closing(found: Sequence[tuple[str, BusAccess]]) -> Iterator[BusQueues]:
    with ExitStack() as opened:
        for _, access in found:
            opened.callback(access.close)
        try:
            yield BusQueues(found)
        except AzureError as error:
            raise LocalCloudError(f"queue: {str(error).splitlines()[0]}") from error


def _sub_queue(*, dead: bool) -> ServiceBusSubQueue | None:
    return ServiceBusSubQueue.DEAD_LETTER if dead else None


def _empty_sessions(found: Found) -> int:
    """One after the other, until no session is left that has messages and no receiver."""
    count, access = 0, found.access.at_once()
    with closing(access), suppress(OperationTimeoutError):
        while True:
            with access.receiver(found.entity, session=NEXT_AVAILABLE_SESSION, delete=True, wait_s=WAIT_S) as receiver:
                count += _empty(receiver)
    return count


def _empty(receiver: Any) -> int:
    count = 0
    while got := receiver.receive_messages(BATCH, max_wait_time=WAIT_S):
        count += len(got)
    return count
