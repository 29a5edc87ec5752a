"""Loopback ports that stay the same from one start to the next, so that addresses in settings stay valid."""

import json
import socket
from pathlib import Path

from localcloud.emulators.private_files import write_private

HOST = "127.0.0.1"


class Ports:
    """Names → listening sockets on 127.0.0.1. A port once given to a name is asked for again; if somebody else holds it
    now, the name gets another free one and keeps that. Ports of one home never collide with each other.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ports: dict[str, int] = json.loads(file.read_bytes()) if file.exists() else {}

    def listen(self, name: str) -> socket.socket:
        """A bound socket (not yet listening) for `name`."""
        sock = self._bind(self._ports.get(name, 0))
        port: int = sock.getsockname()[1]
        if self._ports.get(name) != port:
            self._ports[name] = port
            write_private(self._file, json.dumps(self._ports, indent=1, sort_keys=True).encode())
        return sock

    def free(self, name: str) -> int:
        """A port for a child process that binds it itself."""
        with self.listen(name) as sock:
            port: int = sock.getsockname()[1]
            return port

    def _bind(self, wanted: int) -> socket.socket:
        taken_by_us = set(self._ports.values())
        for port in (wanted, *[0] * 20):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((HOST, port))
            except OSError:
                sock.close()
                continue
            if port or sock.getsockname()[1] not in taken_by_us:
                return sock
            sock.close()
        raise OSError("Ports: a free port on 127.0.0.1 must be available, got none in 20 tries; end what holds them.")
