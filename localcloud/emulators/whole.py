"""A call carried out with its answer kept back, whole and not yet sent. Only faults need it: answers stream."""

from typing import TYPE_CHECKING

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter

if TYPE_CHECKING:
    from multidict import CIMultiDict

_ANEW = frozenset({"content-length", "transfer-encoding", "date", "server", "connection"})
"""Headers that belong to a sending, not to an answer."""


class Kept(AbstractStreamWriter):
    """Takes what a service streams."""

    def __init__(self) -> None:
        self.body = bytearray()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Part of the body."""
        self.body += chunk

    async def write_eof(self, chunk: bytes = b"") -> None:
        """The last part."""
        self.body += chunk

    async def drain(self) -> None:
        """Nothing waits."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Never asked for here."""

    def enable_chunking(self) -> None:
        """A matter of sending."""

    async def write_headers(self, status_line: str, headers: "CIMultiDict[str]") -> None:
        """The response has them."""


class DoorRequest(web.BaseRequest):
    """A request that can be carried out more than once."""

    async def again(self, kept: Kept) -> web.BaseRequest:
        """The same request from its beginning; what answers it writes into `kept`."""
        body = await self.read()
        payload = StreamReader(self._protocol, len(body) + 1, loop=self._loop)
        payload.feed_data(body)
        payload.feed_eof()
        return DoorRequest(
            self._message, payload, self._protocol, kept, self._task, self._loop,
            client_max_size=self._client_max_size,
        )  # fmt: skip


def unsent(response: web.StreamResponse, kept: Kept) -> web.Response:
    """The answer as one that can be sent, whether it was streamed or not."""
    if isinstance(response, web.Response) and not response.prepared:
        return response
    return rebuilt(response, bytes(kept.body))


def rebuilt(response: web.StreamResponse, body: bytes) -> web.Response:
    """The same answer with another body."""
    headers = [(name, value) for name, value in response.headers.items() if name.lower() not in _ANEW]
    return web.Response(status=response.status, reason=response.reason, headers=headers, body=body)


def body_of(answer: web.Response) -> bytes:
    """The body: everything behind the door answers bytes."""
    return bytes(answer.body) if isinstance(answer.body, bytes | bytearray) else b""


def end_connection(request: web.BaseRequest) -> None:
    """The caller's connection ends at once, without a word of TLS or HTTP."""
    if request.transport is not None:
        request.transport.abort()


async def send_half(request: web.BaseRequest, answer: web.Response) -> web.StreamResponse:
    """Announces the whole answer, sends half of its body, ends the connection; of one without a body nothing leaves."""
    body = body_of(answer)
    half = web.StreamResponse(status=answer.status, headers=rebuilt(answer, b"").headers)
    if body:
        half.content_length = len(body)
        await half.prepare(request)
        await half.write(body[: len(body) // 2])
    end_connection(request)
    return half
