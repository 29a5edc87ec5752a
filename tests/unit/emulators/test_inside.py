"""Calls that stay in their process: the same server, the same answers, nothing on a wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from localcloud.emulators.inside import Inside

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[tuple[str, web.Server, aiohttp.ClientSession]]:
    """The server with its address on the network, and a session that goes there inside."""
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    assert runner.server is not None

    def at(asked: int) -> web.Server | None:
        return runner.server if asked == port else None

    async with aiohttp.ClientSession(connector=Inside(at)) as session:
        yield f"http://127.0.0.1:{port}", runner.server, session
    await runner.cleanup()


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return web.Response(body=await request.read(), headers={"Network": str(peer is not None)})


def test_many_calls_of_all_sizes_at_once() -> None:
    async def run() -> None:
        async with served(echo) as (url, server, session):

            async def one(size: int) -> None:
                body = bytes(size % 251 for _ in range(size))
                async with session.post(url, data=body) as answer:
                    assert await answer.read() == body
                    assert answer.headers["Network"] == "False"

            for _ in range(3):
                await asyncio.gather(*(one(size) for size in (0, 1, 1000, 70_000, 900_000)))
            assert len(server.connections) == 5  # kept, and used again

    asyncio.run(run())


def test_https_addresses_of_this_process_need_no_certificate() -> None:
    async def run() -> None:
        async with (
            served(echo) as (url, _, session),
            session.get(url.replace("http:", "https:")) as answer,
        ):
            assert answer.status == 200

    asyncio.run(run())


def test_other_addresses_go_over_the_network() -> None:
    async def run() -> None:
        async with served(echo) as (url, _, _), aiohttp.ClientSession(connector=Inside(lambda _: None)) as other:
            async with other.get(url) as answer:
                assert answer.headers["Network"] == "True"
            with pytest.raises(aiohttp.ClientConnectorError):
                await other.get("http://127.0.0.1:1/")

    asyncio.run(run())


def test_a_server_that_cuts_is_noticed_before_and_in_the_middle() -> None:
    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        if request.path == "/middle":
            await response.prepare(request)
            await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def run() -> None:
        async with served(cut) as (url, _, session):
            for path in ("/before", "/middle"):
                with pytest.raises(aiohttp.ClientError):
                    async with session.get(url + path) as answer:
                        await answer.read()

    asyncio.run(run())


def test_a_server_that_closes_takes_its_connections_along() -> None:
    async def run() -> None:
        async with served(echo) as (url, server, session):
            async with session.get(url) as answer:
                assert answer.status == 200
            await server.shutdown(1)
            for _ in range(3):
                await asyncio.sleep(0)
            assert server.connections == []
            async with session.get(url) as answer:  # a new connection: the address is still its own
                assert answer.status == 200

    asyncio.run(run())
