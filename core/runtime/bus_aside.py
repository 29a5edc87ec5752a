"""Puts a Service Bus message with a lasting fault aside on Functions, into the queue `<name>-dead`.

The Functions host of a Python app can complete a message or abandon it, not dead-letter it. So the step itself sends a
copy, by the worker's identity, and only then returns: the host completes. Killed in between, the message comes again
and is put aside twice, never lost. In a container the message goes to its own dead-letter queue: see `receiver.py`.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

from core.clients.bus_sender import BusSender
from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.messages.envelope import BusMessage
from core.runtime.aside import GivenUp, said
from core.runtime.manifest import BusTrigger
from core.runtime.settings import bus_connection, bus_dead_letters, ca_file, identity_endpoint

REASON, DESCRIPTION, FUNCTION = "DeadLetterReason", "DeadLetterErrorDescription", "function"
"""Application properties of what lies there: the first two are those of a message in a dead-letter queue."""


class DeadQueue:
    """Of one trigger. Contacts nobody before the first message."""

    def __init__(self, trigger: BusTrigger) -> None:
        self._trigger = trigger
        self._lock = threading.Lock()
        self._sender: BusSender | None = None

    async def keep(self, gone: GivenUp) -> None:
        """Returns when the queue has it. Raises core.clients.faults and SettingsError."""
        assert isinstance(gone.message, BusMessage)  # noqa: S101 - a bus trigger hands over nothing else
        reason, description = said(gone)
        more = {REASON: reason, DESCRIPTION: description, FUNCTION: gone.function}
        copy = replace(gone.message, properties={**gone.message.properties, **more})
        await asyncio.to_thread(lambda: self._open().send(copy))

    def _open(self) -> BusSender:
        with self._lock:
            if self._sender is None:
                namespace, client_id = bus_connection(self._trigger.connection)
                queue = bus_dead_letters(self._trigger.connection)
                endpoint, header = identity_endpoint()
                http = Http(ca_file=ca_file(), connections=4)
                identity = ManagedIdentity(http, endpoint=endpoint, header=header, client_id=client_id)
                self._sender = BusSender(identity, namespace=namespace, ca_file=ca_file(), queue=queue)
            return self._sender
