"""Puts a message with a lasting fault aside at once, with its reason.

Python cannot settle a storage queue's message: all it can do is return (gone) or raise (again, and after the last try
the host moves it, without a reason). So the step itself sends it to the `-poison` queue, by the worker's identity, and
only then returns. Killed in between, the message comes again and is put aside twice, never lost.
"""

from __future__ import annotations

import asyncio
import base64
import threading

from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.clients.storage_queue import StorageQueue
from core.messages.poison import Poison, wrap
from core.runtime.aside import GivenUp
from core.runtime.log import now
from core.runtime.manifest import Queue
from core.runtime.settings import ca_file, identity_endpoint, queue_connection


class PoisonQueue:
    """Of one trigger. Thread-safe; contacts nobody before the first message."""

    def __init__(self, trigger: Queue) -> None:
        self._trigger = trigger
        self._lock = threading.Lock()
        self._queue: StorageQueue | None = None

    async def keep(self, gone: GivenUp) -> None:
        """Returns when the poison queue has it. Raises core.clients.faults, SettingsError and UnicodeDecodeError."""
        assert isinstance(gone.message, bytes)  # noqa: S101 - a storage queue's trigger hands over nothing else
        poison = Poison(reason=gone.reason, function=gone.function, time=now(), body=self._text(gone.message))
        body = wrap(poison, id=gone.id, traceparent=gone.traceparent, attempt=gone.attempt)
        await asyncio.to_thread(self._send, body)

    def _text(self, body: bytes) -> str:
        """The message as it stands in its queue, out of what the host hands over."""
        if self._trigger.encoding == "base64":
            return base64.b64encode(body).decode()
        return body.decode()

    def _send(self, message: bytes) -> None:
        self._open().send(message)

    def _open(self) -> StorageQueue:
        with self._lock:
            if self._queue is None:
                service, client_id = queue_connection(self._trigger.connection)
                endpoint, header = identity_endpoint()
                http = Http(ca_file=ca_file(), connections=4)
                identity = ManagedIdentity(http, endpoint=endpoint, header=header, client_id=client_id)
                self._queue = StorageQueue(
                    identity, endpoint=service, name=f"{self._trigger.queue}-poison", ca_file=None, http=http
                )
            return self._queue
