"""The door in front of a PostgreSQL: TLS, an Entra token as the password, then bytes both ways.

As on Azure: without TLS nobody is let in, the token must be of this tenant, in time and for PostgreSQL's audience, and
its principal must be the one the role was made for. The refusals' words are Azure's, as its users report them. Behind
the door the connection is the role's own, so what it may do is PostgreSQL's decision.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from localcloud.emulators.identity import MAX_TOKEN_BYTES, Claims, TokenRefused
from localcloud.emulators.ports import HOST
from localcloud.emulators.postgres import wire
from localcloud.emulators.postgres.scram import MECHANISM, Scram, ScramError

AUDIENCE: Final = "https://ossrdbms-aad.database.windows.net"
START_S: Final = 10.0
"""From the first byte to the token; PostgreSQL's own authentication_timeout is a minute."""
CHUNK: Final = 1 << 16
_WORDS: Final = {
    "audience": "The access token does not have a valid audience claim. Please acquire a new token for the resource "
    f'"{AUDIENCE}".',
    "malformed": "The access token has invalid format. Please ensure the token is passed exactly as returned by the "
    "authentication endpoint and retry.",
    "expired": "The access token has expired. Please acquire a new token and retry.",
}
_INVALID: Final = "An error occurred while validating the access token. Please acquire a new token and retry."
log = logging.getLogger("millrace.postgres")

Decide = Callable[[str], tuple[Any, float] | None]
"""An operation (`connect`, `message`) → the fault that it meets (`kind`, `when`, `seconds`) and its luck."""


class Door:
    """One listening socket. `verify`: a token's claims, or TokenRefused; `principal_of`: whose role this is, None for
    nobody's; `count`: told of each connection, admitted or refused.
    """

    def __init__(
        self,
        *,
        context: Callable[[], ssl.SSLContext],
        verify: Callable[[str], Claims],
        principal_of: Callable[[str], Awaitable[str | None]],
        behind: Callable[[], tuple[int, str]],
        count: Callable[[bool], None],
        decide: Decide,
    ) -> None:
        """`behind`: port and password of the server at this moment."""
        self._make_context, self._verify, self._principal_of = context, verify, principal_of
        self._behind, self._count, self._decide = behind, count, decide
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._open)

    async def open(self, sock: Any) -> None:
        """Takes connections from here on."""
        self._context = self._make_context()
        self._server = await asyncio.start_server(self._take, sock=sock)

    async def close(self) -> None:
        """Takes no more, ends those that are open."""
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # a coroutine always runs in one
            return
        self._open.add(task)
        # asyncio does this only where a socket names its protocol; without it each turn waits 40 ms for the other side.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._serve(reader, writer)
        except wire.Refusal as refusal:
            with suppress(OSError):
                writer.write(wire.fatal(refusal))
                await writer.drain()
        except (OSError, EOFError, TimeoutError, wire.ProtocolError, asyncio.CancelledError) as error:
            log.debug("a connection ended: %r", error)  # the caller went away, or was never one
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(START_S):
            start, secure = await self._begin(reader, writer)
            if start.code == wire.CANCEL:
                await self._cancel(start)
                return
            try:
                user = await self._admit(start, reader, writer, secure=secure)
            except wire.Refusal:
                self._count(False)
                raise
            self._count(True)
            fault = await self._meet("connect", writer)
            if fault is not None:
                return
            server = await self._sign_in(user, start, writer)
        try:
            await self._pass((reader, writer), server)
        finally:
            server[1].close()

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[wire.Start, bool]:
        """The start-up message or a cancel request, and whether it came through TLS."""
        secure = False
        for _ in range(3):  # GSS, TLS, then the message itself
            start = await wire.read_start(reader)
            if start.code == wire.TLS and not secure and self._context is not None:
                writer.write(b"S")
                await writer.start_tls(self._context)
                secure = True
            elif start.code == wire.GSS and not secure:
                writer.write(b"N")
                await writer.drain()
            else:
                return start, secure
        raise wire.ProtocolError("no start-up message")

    async def _admit(
        self, start: wire.Start, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, secure: bool
    ) -> str:
        """The role whose principal the caller is."""
        if start.code >> 16 != wire.VERSION >> 16:
            raise wire.Refusal("0A000", f"unsupported frontend protocol {start.code >> 16}.{start.code & 0xFFFF}")
        given = start.parameters
        user = given.get("user", "")
        if not user:
            raise wire.Refusal("28000", "no PostgreSQL user name specified in startup packet")
        if not secure:
            place = f'user "{user}", database "{given.get("database", user)}"'
            raise wire.Refusal("28000", f'no pg_hba.conf entry for host "{HOST}", {place}, no encryption')
        unknown = [name for name in given if name.startswith("_pq_.")]
        if start.code != wire.VERSION or unknown:
            writer.write(wire.newest_version_is_ours(unknown))
        writer.write(wire.authentication(wire.CLEARTEXT))
        kind, body = await wire.read_message(reader, MAX_TOKEN_BYTES + 1)
        if kind != b"p":
            raise wire.ProtocolError("expected password response")
        await self._check(user, body.rstrip(b"\0").decode("ascii", "replace"))
        return user

    async def _check(self, user: str, token: str) -> None:
        try:
            claims = self._verify(token)
        except TokenRefused as refused:
            raise wire.Refusal("28P01", _WORDS.get(refused.reason, _INVALID)) from refused
        try:
            principal = await self._principal_of(user)
        except OSError as error:
            raise wire.Refusal("57P03", "the database system is starting up") from error
        if principal != str(claims["oid"]).lower():
            raise wire.Refusal("28P01", f'password authentication failed for user "{user}"')

    async def _sign_in(self, user: str, start: wire.Start, writer: asyncio.StreamWriter) -> "Streams":
        """Connects to the server as the role, with the password only we know; says what the server says."""
        port, password = self._behind()
        try:
            reader, behind = await asyncio.open_connection(HOST, port)
        except OSError as error:
            raise wire.Refusal("57P03", "the database system is starting up") from error
        known = {name: value for name, value in start.parameters.items() if not name.startswith("_pq_.")}
        behind.write(wire.start_up(known))
        scram = Scram(password)
        try:
            while True:
                kind, body = await wire.read_message(reader, CHUNK)
                if kind != b"R":  # the server's own refusal: too many connections, a database that is not there
                    writer.write(wire.message(kind, body))
                    raise EOFError
                code, rest = int.from_bytes(body[:4], "big"), body[4:]
                if code == wire.OK:
                    writer.write(wire.message(kind, body))
                    return reader, behind
                behind.write(_answer(scram, code, rest))
        except ScramError as error:
            behind.close()
            log.error("PostgreSQL behind the door does not take its password for %s: %s", user, error)  # noqa: TRY400
            raise wire.Refusal("28000", f'role "{user}" cannot be signed in here', str(error)) from error
        except BaseException:
            behind.close()
            with suppress(OSError):
                await writer.drain()
            raise

    async def _cancel(self, start: wire.Start) -> None:
        """The key it carries is the server's own, and only the connection's owner was told it."""
        port, _ = self._behind()
        with suppress(OSError):
            _, behind = await asyncio.open_connection(HOST, port)
            behind.write(wire.start(start.code, start.body))
            await behind.drain()
            behind.close()

    async def _pass(self, caller: "Streams", server: "Streams") -> None:
        """Until either side ends."""
        cut = asyncio.Event()

        async def upwards() -> None:
            while chunk := await caller[0].read(CHUNK):
                fault = await self._meet("message", caller[1])
                if fault == "before":
                    return
                if fault == "after":
                    cut.set()
                server[1].write(chunk)
                await server[1].drain()

        async def downwards() -> None:
            while chunk := await server[0].read(CHUNK):
                if cut.is_set():  # the work is done, nobody hears of it
                    caller[1].transport.abort()
                    return
                caller[1].write(chunk)
                await caller[1].drain()

        both = {asyncio.ensure_future(upwards()), asyncio.ensure_future(downwards())}
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.exception()  # a connection that broke is the end of it as well
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _meet(self, operation: str, writer: asyncio.StreamWriter) -> str | None:
        """Lets a declared fault happen; answers when the connection is to end: `before`, `after`, or None."""
        found = self._decide(operation)
        if found is None:
            return None
        fault, luck = found
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds * luck)
            return None
        if fault.kind == "refuse" and operation == "connect":
            raise wire.Refusal(fault.code or "57P03", "the database system is starting up, as a fault declared it")
        if fault.when == "before" or operation == "connect":
            writer.transport.abort()
            return "before"
        return "after"


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _answer(scram: Scram, code: int, rest: bytes) -> bytes:
    if code == wire.SASL:
        if MECHANISM.encode() not in rest.split(b"\0"):
            raise ScramError("it offers another mechanism")
        first = scram.first
        return wire.message(b"p", MECHANISM.encode() + b"\0" + len(first).to_bytes(4, "big") + first)
    if code == wire.SASL_GOES_ON:
        return wire.message(b"p", scram.answer(rest))
    if code == wire.SASL_ENDS:
        scram.check(rest)
        return b""
    raise ScramError(f"it asks for authentication {code}")
