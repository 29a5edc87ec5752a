"""The HTTP Data Collector API (legacy; Microsoft's support ended 2026-09-14): rows signed with the workspace's key.

https://learn.microsoft.com/previous-versions/azure/azure-monitor/logs/data-collector-api
Field values over 32 KB are truncated there, `TimeGenerated` is a reserved name, and bodies are not compressed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from email.utils import formatdate

from core.clients.http import Http
from core.clients.logs_ingestion import check


class DataCollector:
    """One log type of one workspace. Thread-safe."""

    max_bytes = 30_000_000
    max_rows = 500
    """The document's chunk."""
    max_field_bytes = 32_768
    takes_time_generated = False

    def __init__(self, http: Http, *, endpoint: str, workspace_id: str, key: str, log_type: str) -> None:
        """`key`: the workspace's shared key (base64); `log_type`: the table's name without `_CL`."""
        self._http = http
        self._url = f"{endpoint.rstrip('/')}/api/logs?api-version=2016-04-01"
        self._workspace_id = workspace_id
        self._log_type = log_type
        try:
            self._key = base64.b64decode(key, validate=True)
        except binascii.Error as error:
            raise ValueError(
                "COLLECTOR_KEY must be the workspace's base64 key; put it into the key vault again"
            ) from error

    def send(self, body: bytes, *, until: float | None = None) -> tuple[int, int]:
        """Uploads a JSON array; returns and raises what LogsIngestion.send does."""
        answer = self._http.call("POST", self._url, headers=lambda: self._headers(len(body)), body=body, until=until)
        check(answer, "data collector")
        return len(body), answer.unanswered

    def _headers(self, length: int) -> dict[str, str]:
        date = formatdate(usegmt=True)
        return {
            "Content-Type": "application/json",
            "Log-Type": self._log_type,
            "x-ms-date": date,
            "Authorization": f"SharedKey {self._workspace_id}:{signature(self._key, length, date)}",
        }


def signature(key: bytes, length: int, date: str) -> str:
    """The request's HMAC-SHA256, base64."""
    text = f"POST\n{length}\napplication/json\nx-ms-date:{date}\n/api/logs"
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
