"""The SDK's own renewer of locks. It goes by the real clock, so the namespaces here are nobody else's."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from azure.servicebus import AutoLockRenewer, ServiceBusMessage
from azure.servicebus.aio import AutoLockRenewer as AioRenewer
from azure.servicebus.exceptions import AutoLockRenewTimeout

from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.kit import FLAVOURS, Blocking, Kit, both, first

LOCK_S = 4
PATIENCE_S = 30.0


@pytest.fixture(scope="session")
def buses() -> Iterator[dict[str, Bus]]:
    made = {flavour: Bus() for flavour in FLAVOURS}
    yield made
    for bus in made.values():
        bus.close()


def renewer(kit: Kit) -> Any:
    return AioRenewer() if kit.flavour == "aio" else AutoLockRenewer()


def bare(found: Any) -> Any:
    """What the SDK's own code takes."""
    return found.real if isinstance(found, Blocking) else found


async def close(kit: Kit, found: Any) -> None:
    await (found.close() if kit.flavour == "aio" else asyncio.to_thread(found.close))


async def later_than(held: Any, moment: dt.datetime) -> None:
    """Wait until the lock's end has been moved."""
    async with asyncio.timeout(PATIENCE_S):
        while held.locked_until_utc <= moment:  # noqa: ASYNC110 - the renewer tells nobody
            await asyncio.sleep(0.02)


@both
async def test_a_message_is_held_for_longer_than_its_lock(kit: Kit) -> None:
    queue = kit.bus.queue(lock_s=LOCK_S)
    sender, receiver = await kit.pair(queue)
    await sender.send_messages(ServiceBusMessage("x"))
    (got,) = await first(receiver)
    renews, begun = renewer(kit), got.locked_until_utc
    renews.register(bare(receiver), got, max_lock_renewal_duration=PATIENCE_S)
    await later_than(got, begun)
    kit.bus.later((begun - kit.bus.now()).total_seconds() + 0.2)  # where the first lock would have ended
    await receiver.complete_message(got)
    await close(kit, renews)
    assert kit.bus.counts(queue).active == 0


@both
async def test_a_session_is_held_for_longer_than_its_lock(kit: Kit) -> None:
    queue = kit.bus.queue(lock_s=LOCK_S, requires_session=True)
    sender, receiver = await kit.pair(queue, session_id="s")
    await sender.send_messages(ServiceBusMessage("x", session_id="s"))
    (got,) = await first(receiver)
    session = bare(receiver).session
    renews, begun = renewer(kit), session.locked_until_utc
    renews.register(bare(receiver), session, max_lock_renewal_duration=PATIENCE_S)
    await later_than(session, begun)
    kit.bus.later((begun - kit.bus.now()).total_seconds() + 0.2)
    await receiver.complete_message(got)
    await close(kit, renews)
    assert kit.bus.counts(queue).active == 0


@both
async def test_renewal_ends_and_says_so(kit: Kit) -> None:
    sender, receiver = await kit.pair(kit.bus.queue(lock_s=1))
    await sender.send_messages(ServiceBusMessage("x"))
    (got,) = await first(receiver)
    renews = renewer(kit)
    renews.register(bare(receiver), got, max_lock_renewal_duration=0.5)
    async with asyncio.timeout(PATIENCE_S):
        while got.auto_renew_error is None:  # noqa: ASYNC110 - its callback is called only if the lock is over by then, too
            await asyncio.sleep(0.02)
    await close(kit, renews)
    assert isinstance(got.auto_renew_error, AutoLockRenewTimeout)
