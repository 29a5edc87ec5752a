"""HTTP exactly as written: paths, headers and bodies that no client library would let through."""

import http.client
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.body)  # noqa: S314 -- our own server's answer


class _Raw:
    """Takes a request line as it is."""

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


class _RawHttps(_Raw, http.client.HTTPSConnection):
    """Over TLS."""


class _RawHttp(_Raw, http.client.HTTPConnection):
    """In the clear."""


class Wire:
    """One kept connection per server. Closed by `close`."""

    def __init__(self, ca_file: str) -> None:
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._connections: dict[str, http.client.HTTPConnection] = {}

    def send(
        self,
        base: str,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Answer:
        """`target`: the request line's, unchanged. A connection that the server closed meanwhile is made anew once."""
        for attempt in range(2):
            connection = self._connection(base)
            try:
                connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
                names = {name.lower() for name, _ in headers}
                if "host" not in names:
                    connection.putheader("Host", urlsplit(base).netloc)
                for name, value in headers:
                    connection.putheader(name, value)
                if "content-length" not in names and "transfer-encoding" not in names:
                    connection.putheader("Content-Length", str(len(body or b"")))
                connection.endheaders(body)
                response = connection.getresponse()
                found = Answer(
                    response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
                )
            except (http.client.HTTPException, ConnectionError, ssl.SSLError):
                self._connections.pop(base).close()
                if attempt:
                    raise
            else:
                if response.will_close:
                    self._connections.pop(base).close()
                return found
        raise AssertionError("unreachable")

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _connection(self, base: str) -> http.client.HTTPConnection:
        if base not in self._connections:
            where = urlsplit(base)
            if where.scheme == "https":
                self._connections[base] = _RawHttps(where.netloc, context=self._tls, timeout=30)
            else:
                self._connections[base] = _RawHttp(where.netloc, timeout=30)
        return self._connections[base]
