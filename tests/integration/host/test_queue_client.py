"""The host's own client against a service that stumbles: tries again what passes, gives up what does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from localcloud.host.queue_client import QueueClient, QueueError, QueueSession, Taken

MESSAGE = Taken(id="m", receipt="r+/=", tries=1, text="x", times={})
DROP = 0


class Stumbling:
    """Answers with these statuses, one a request; `DROP` closes the connection instead. Then 204 for ever."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.tokens: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.tokens.append(request.headers.get("Authorization", ""))
        status = self.answers.pop(0) if self.answers else 204
        if status == DROP:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return web.Response(status=status, headers={"x-ms-error-code": f"Code{status}"})


@asynccontextmanager
async def client(server: Stumbling) -> AsyncIterator[QueueClient]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    session = QueueSession()
    try:
        yield QueueClient(session, f"http://127.0.0.1:{runner.addresses[0][1]}/account", "q", dict)
    finally:
        await session.close()
        await runner.cleanup()


async def test_what_passes_is_tried_again_with_the_receipt_as_it_was() -> None:
    server = Stumbling(503, 500, 429)
    async with client(server) as queue:
        await queue.delete(MESSAGE)
    assert server.asked == ["DELETE /account/q/messages/m?popreceipt=r%2B%2F%3D"] * 4


async def test_a_deletion_whose_answer_was_lost_is_done_when_the_message_is_gone() -> None:
    async with client(Stumbling(DROP, 404)) as queue:
        await queue.delete(MESSAGE)


async def test_a_message_in_other_hands_is_said() -> None:
    async with client(Stumbling(400)) as queue:
        with pytest.raises(QueueError, match="400 Code400") as caught:
            await queue.delete(MESSAGE)
    assert caught.value.status == 400


async def test_a_refusal_is_not_asked_again() -> None:
    server = Stumbling(403)
    async with client(server) as queue:
        with pytest.raises(QueueError, match="403 Code403"):
            await queue.waiting()
    assert len(server.asked) == 1


async def test_a_token_that_is_refused_is_not_shown_again() -> None:
    server, tokens = Stumbling(401), ["old", "new"]

    def forget() -> None:
        tokens.pop(0)

    async with client(server) as queue:
        other = QueueClient(
            queue._session, queue._url.removesuffix("/q"), "q",
            lambda: {"Authorization": f"Bearer {tokens[0]}"}, forget=forget,
        )  # fmt: skip
        await other.delete(MESSAGE)
    assert server.tokens == ["Bearer old", "Bearer new"]


async def test_a_service_that_is_gone_is_told_as_such() -> None:
    queue = QueueClient(session := QueueSession(), "http://127.0.0.1:1/account", "q", dict)
    try:
        with pytest.raises(QueueError, match="no answer"):
            await queue.take(1, 60)
    finally:
        await session.close()
