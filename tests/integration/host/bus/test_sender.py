"""Sending: links that stay open, transfers as large as can be, times, and refusals that say what to do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from core.clients.bus_sender import BusSender
from core.clients.faults import Denied, Gone, Refused, Transient
from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.messages.envelope import BusMessage
from localcloud.emulators.service_bus.broker.options import TopicOptions
from tests.integration.host.bus.test_both import job
from tests.integration.host.bus.world import APP_ID, STRANGER, World


async def test_many_messages_go_in_as_few_transfers_as_their_size_allows(world: World) -> None:
    async with world:
        world.queue()
        large = [BusMessage(body=b"x" * 100_000, id=str(number)) for number in range(7)]  # two fit into 256 KB
        sender = world.sender()
        await asyncio.to_thread(sender.send_all, large)
        await asyncio.to_thread(sender.send_all, [])
        assert world.active() == 7
        with pytest.raises(Refused, match=r"jobs: send: a message must fit .* keep what is large in a blob"):
            await asyncio.to_thread(sender.send_all, [large[0], BusMessage(body=b"x" * 300_000)])
        with pytest.raises(Refused, match=r"keep what is large in a blob"):
            await asyncio.to_thread(sender.send, BusMessage(body=b"x" * 300_000))
        assert [one.message_id for one in await world.peek("jobs")] == [*"0123456", "0"]  # the first ones are sent
        await asyncio.to_thread(sender.close)


async def test_a_message_for_later_can_be_taken_back(world: World) -> None:
    async with world:
        world.queue()
        sender, later = world.sender(), datetime.now(UTC) + timedelta(minutes=5)
        first = await asyncio.to_thread(sender.schedule, job("done", 1), later)
        await asyncio.to_thread(sender.schedule, job("done", 2), later)
        await asyncio.to_thread(sender.cancel, first)
        assert [one.message_id for one in await world.peek("jobs")] == ["done-2"]
        with pytest.raises(Refused, match="needs a time with a time zone"):
            await asyncio.to_thread(sender.schedule, job("done"), later.replace(tzinfo=None))
        await asyncio.to_thread(sender.close)


async def test_each_refusal_is_of_its_kind(world: World) -> None:
    async with world:
        world.queue()
        world.service.create_topic("events", TopicOptions())
        denied = BusSender(world.identity(APP_ID), namespace=world.host, ca_file=str(world.ca), topic="events")
        gone, nobody = (
            world.sender(queue="nothing"),
            ManagedIdentity(Http(ca_file=None, connections=1), endpoint="", header="", client_id="x"),
        )
        nameless = BusSender(nobody, namespace=world.host, ca_file=str(world.ca), queue="jobs")
        stranger = BusSender(world.identity(STRANGER), namespace=world.host, ca_file=str(world.ca), queue="jobs")
        for sender, kind, text in (
            (stranger, Denied, "jobs: send: TokenAuthFailure: .*401.*InvalidIssuer"),
            (denied, Denied, "events: send: .*has no right send on events"),
            (gone, Gone, "nothing: send"),
            (nameless, Transient, "managed identity: IDENTITY_ENDPOINT is not set"),
        ):
            with pytest.raises(kind, match=text):
                await asyncio.to_thread(sender.send, job("done"))
            await asyncio.to_thread(sender.close)
    with pytest.raises(ValueError, match="must be given a queue or a topic"):
        BusSender(nobody, namespace="x", ca_file=None)


async def test_a_link_that_broke_is_opened_again(world: World) -> None:
    async with world:
        world.queue()
        sender = world.sender()
        await asyncio.to_thread(sender.send, job("done", 1))
        world.cut()
        await asyncio.to_thread(sender.send, job("done", 2))
        assert world.active() == 2
        await asyncio.to_thread(sender.close)
