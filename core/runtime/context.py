"""What a handler knows about the invocation it serves."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from core.runtime.deadline import Deadline
from core.runtime.log import Log

Clients = TypeVar("Clients")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Context(Generic[Clients]):
    """One invocation; `clients` is what the handler module's `connect` made, once per process."""

    function: str
    invocation_id: str
    trace_id: str
    """32 hex digits (W3C Trace Context)."""
    span_id: str
    """16 hex digits: this invocation."""
    attempt: int
    """1 at the first delivery; with an envelope, sends and deliveries of the work together."""
    deadline: Deadline
    clients: Clients
    log: Log
    message_id: str = ""
    """The envelope's id, on Service Bus any message's own; "" without one, and for a batch."""
    session_id: str = ""
    """Of Service Bus, when the entity has sessions."""

    @property
    def traceparent(self) -> str:
        """W3C Trace Context for what this invocation sends on."""
        return traceparent(self.trace_id, self.span_id)


class Trace(NamedTuple):
    """Where an invocation stands in its trace."""

    trace_id: str
    span_id: str
    """A new one."""
    parent_id: str
    """The caller's span; "" at the trace's beginning."""

    @property
    def traceparent(self) -> str:
        """For what this invocation sends on."""
        return traceparent(self.trace_id, self.span_id)


def traceparent(trace_id: str, span_id: str) -> str:
    """W3C Trace Context, sampled."""
    return f"00-{trace_id}-{span_id}-01"


def trace_of(parent: str | None) -> Trace:
    """A new span in the caller's trace when `parent` is well formed, else in a new one."""
    if found := _TRACEPARENT.match((parent or "").lower()):
        return Trace(found[1], secrets.token_hex(8), found[2])
    return Trace(secrets.token_hex(16), secrets.token_hex(8), "")
