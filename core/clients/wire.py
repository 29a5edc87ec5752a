"""HTTP/1.1 requests over kept connections, at a fifth of the processor time of urllib3's general machinery.

Connections (names, timeouts, TLS and its checks) and errors are urllib3's; what is written and read on them is done
here: a request at once, an answer by `reply`. No proxies, redirects, retries, cookies or compression: none is wanted.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import BinaryIO, NamedTuple, cast
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError, ProtocolError, ReadTimeoutError
from urllib3.util.connection import is_connection_dropped
from urllib3.util.ssl_ import create_urllib3_context

from core.clients.reply import Reply

_CONNECT_S = 5.0
READ_S = 60.0
_FRESH_S = 0.25
"""So long after its last answer nobody looks whether the server closed a connection meanwhile: servers give a next
request seconds at least, and each look hands the processor to another thread.
"""
_BUFFER = 64 * 1024
_TARGET = re.compile(r"[!-~]*")
_HEADER = re.compile(r"[^\r\n\0]*")


class NotSentError(HTTPError):
    """No connection: nothing of the request left."""


class Origin(NamedTuple):
    """A server."""

    tls: bool
    host: str
    port: int
    name: str
    """As the Host header gives it."""


class _Connection:
    """One connection with its read buffer."""

    def __init__(self, origin: Origin, context: ssl.SSLContext | None, read_s: float) -> None:
        """Connects. Raises NotSentError."""
        if context is None:
            self.line = HTTPConnection(origin.host, origin.port, timeout=_CONNECT_S)
        else:
            self.line = HTTPSConnection(origin.host, origin.port, timeout=_CONNECT_S, ssl_context=context)
        try:
            self.line.connect()
        except (HTTPError, OSError) as error:
            self.line.close()
            raise NotSentError(f"{origin.name}: {type(error).__name__}: {error}") from error
        assert self.line.sock is not None  # noqa: S101 - it is connected
        self.socket = self.line.sock
        self.socket.settimeout(read_s)
        self.file = cast("BinaryIO", self.socket.makefile("rb", buffering=_BUFFER))
        self.used = 0.0
        """When its last answer had been read (monotonic)."""

    def close(self) -> None:
        """Ends it."""
        self.file.close()
        self.line.close()


class Wire:
    """Connections to any number of servers, at most `connections` kept for each. Thread-safe."""

    def __init__(self, *, connections: int, ca_file: str | None = None, read_s: float = READ_S) -> None:
        """`ca_file`: the trusted roots; None: the system's. `read_s`: seconds without a byte before an answer is
        given up.
        """
        self._most = connections
        self._read_s = read_s
        self._ca_file = ca_file
        self._idle: dict[Origin, list[_Connection]] = {}
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        ready: Callable[[], None] | None = None,
    ) -> Reply:
        """The answer's head, its body still to be read. Raises NotSentError, or another of urllib3's HTTPErrors.

        `ready` is called once the connection is there, right before the request leaves; what it raises comes through.
        """
        origin, target = parts(url)
        head = _request(method, target, origin.name, headers, body)
        connection = self._connection(origin, ready)

        def done(keeps: bool) -> None:
            idle = self._idle.setdefault(origin, [])
            if keeps and len(idle) < self._most:
                connection.used = time.monotonic()
                idle.append(connection)
            else:
                connection.close()

        try:
            if body is None or len(body) < _BUFFER:
                connection.socket.sendall(head + body if body else head)
            else:
                connection.socket.sendall(head)
                connection.socket.sendall(body)
            return Reply(connection.file, done)
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(None, url, f"no answer in {self._read_s:.0f} s") from error  # type: ignore[arg-type]
        except (OSError, ValueError) as error:
            connection.close()
            raise ProtocolError(f"connection broken: {type(error).__name__}: {error}") from error
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Closes what is kept; also done when nobody has this any more."""
        _close_all(self._idle)

    def _connection(self, origin: Origin, ready: Callable[[], None] | None) -> _Connection:
        connection = self._idle_one(origin) or self._new(origin)
        if ready is None:
            return connection
        try:
            ready()
        except BaseException:
            connection.close()
            raise
        if not is_connection_dropped(connection.line):
            return connection
        connection.close()  # the server did not wait as long as `ready` did
        return self._new(origin)

    def _new(self, origin: Origin) -> _Connection:
        return _Connection(origin, self._tls() if origin.tls else None, self._read_s)

    def _idle_one(self, origin: Origin) -> _Connection | None:
        """The one used last, unless its server closed it meanwhile."""
        idle = self._idle.get(origin)
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was faster
                return None
            if time.monotonic() - connection.used < _FRESH_S or not is_connection_dropped(connection.line):
                return connection
            connection.close()
        return None

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
                context.check_hostname = True
                if self._ca_file:
                    context.load_verify_locations(self._ca_file)
                else:
                    context.load_default_certs()
                self._context = context
            return self._context


def _close_all(kept: dict[Origin, list[_Connection]]) -> None:
    for idle in kept.values():
        while idle:
            idle.pop().close()


@lru_cache(64)
def _origin(text: str) -> Origin:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise LocationParseError(text)
    tls = parts.scheme == "https"
    usual = 443 if tls else 80
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port or usual
    return Origin(tls, parts.hostname, port, name if port == usual else f"{name}:{port}")


def parts(url: str) -> tuple[Origin, str]:
    """Where to connect, and what to ask there."""
    end = len(url)
    for mark in "/?":
        at = url.find(mark, len("https://"), end)
        end = at if at > 0 else end
    target = url[end:] if url[end : end + 1] == "/" else f"/{url[end:]}"
    if _TARGET.fullmatch(target) is None:
        raise LocationParseError(url)
    return _origin(url[:end]), target


def _request(method: str, target: str, host: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    lines = [f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: millrace\r\nAccept-Encoding: identity\r\n"]
    for name, value in headers.items():
        if _HEADER.fullmatch(value) is None:
            raise ProtocolError(f"the header {name} must be one line")
        lines.append(f"{name}: {value}\r\n")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")
