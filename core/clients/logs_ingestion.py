"""Azure Monitor's Logs Ingestion API: rows into a Log Analytics table through a data collection rule.

https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview
Limits: 1 MB a call, compressed and uncompressed; 12,000 calls and 2 GB a minute per rule (429 with Retry-After).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

from core.clients.faults import InDoubt, Refused, Transient
from core.clients.http import Answer, Http, failure

compress: Callable[..., bytes]
try:
    from isal import isal_zlib

    compress = isal_zlib.compress
except ImportError:  # no wheel for the platform: the standard library does the same, slower
    compress = zlib.compress

AUDIENCE = "https://monitor.azure.com"
MAX_BYTES = 1_000_000
"""The documented 1 MB, read as the smaller of its two meanings."""


class Identity(Protocol):
    """Where tokens come from."""

    def bearer(self, audience: str) -> dict[str, str]:
        """The Authorization header."""

    def forget(self, audience: str) -> None:
        """Drops a refused token."""


class LogsIngestion:
    """One stream of one rule. Thread-safe."""

    max_bytes = MAX_BYTES
    max_rows = 0
    """No limit of its own."""
    max_field_bytes = 65_536
    """Longer values are truncated by the service."""
    takes_time_generated = True

    def __init__(self, http: Http, identity: Identity, *, endpoint: str, rule_id: str, stream: str) -> None:
        self._http = http
        self._identity = identity
        self._url = f"{endpoint.rstrip('/')}/dataCollectionRules/{rule_id}/streams/{stream}?api-version=2023-01-01"

    def send(self, body: bytes, *, until: float | None = None) -> tuple[int, int]:
        """Uploads a JSON array of at most `MAX_BYTES`. Returns the bytes sent and how often it was sent again
        because an answer never arrived. Raises InDoubt, Transient or Refused.
        """
        packed = compress(body, 1, wbits=31)
        del body  # a tenth of it is left to wait for the answer
        answer = self._http.call(
            "POST", self._url, headers=self._headers, body=packed, until=until,
            renew=lambda: self._identity.forget(AUDIENCE),
        )  # fmt: skip
        check(answer, "logs ingestion")
        return len(packed), answer.unanswered

    def _headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            **self._identity.bearer(AUDIENCE),
        }


def check(answer: Answer, what: str) -> None:
    """Returns for an accepted upload; raises the fault that the answer means.

    401, 403 and 404 are faults of set-up (a role not propagated yet, a rule being replaced), not of the rows.
    """
    if 200 <= answer.status < 300:
        return
    text = failure(answer, what)
    if answer.unanswered:
        raise InDoubt(text)
    if answer.status in {401, 403, 404, 408, 429} or answer.status >= 500:
        raise Transient(text)
    raise Refused(text)
