"""What a handler knows about the invocation it serves."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.runtime.deadline import Deadline
from core.runtime.log import Log

Clients = TypeVar("Clients")


@dataclass(frozen=True, kw_only=True, slots=True)
class Context(Generic[Clients]):
    """One invocation; `clients` is what the handler module's `connect` made, once per process."""

    function: str
    invocation_id: str
    trace_id: str
    """32 hex digits (W3C Trace Context)."""
    span_id: str
    attempt: int
    """1 at the first delivery."""
    deadline: Deadline
    clients: Clients
    log: Log


def trace_of(traceparent: str | None) -> tuple[str, str]:
    """Trace id and a new span id: the caller's trace when `traceparent` is well formed, else a new one."""
    fields = (traceparent or "").split("-")
    if len(fields) >= 4 and len(fields[1]) == 32 and len(fields[2]) == 16:
        trace = fields[1].lower()
        if trace.strip("0") and not trace.strip("0123456789abcdef"):
            return trace, secrets.token_hex(8)
    return secrets.token_hex(16), secrets.token_hex(8)
