"""Whole flows that Microsoft's public samples show (azure-sdk-for-python, azure-servicebus/samples), written anew."""

import asyncio
from collections import defaultdict
from typing import Any

from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import OperationTimeoutError

from tests.contract.service_bus.kit import Kit, both, first, text

SESSIONS, WORKERS, EACH = 6, 3, 4
WAIT_S = 0.5


@both
async def test_a_pool_of_workers_empties_every_session_and_stops(kit: Kit) -> None:
    """session_pool_receive: any free session, its messages until none comes, then the next; no session is the end."""
    queue = kit.bus.queue(requires_session=True)
    sender = await kit.sender(queue)
    await sender.send_messages([
        ServiceBusMessage(str(number), session_id=f"s{session}")
        for number in range(EACH)
        for session in range(SESSIONS)
    ])  # fmt: skip
    got: defaultdict[str, list[str]] = defaultdict(list)
    holders: defaultdict[str, set[int]] = defaultdict(set)

    async def work(worker: int) -> None:
        while True:
            try:
                receiver = await kit.receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=WAIT_S)
            except OperationTimeoutError:
                return
            session = receiver.session.session_id
            holders[session].add(worker)
            await receiver.session.set_state(b"OPEN")
            async for message in receiver:
                got[session].append(text(message))
                await receiver.complete_message(message)
                if text(message) == str(EACH - 1):
                    await receiver.session.set_state(b"CLOSED")
            await receiver.__aexit__()

    await asyncio.gather(*map(work, range(WORKERS)))
    assert got == {f"s{session}": [str(number) for number in range(EACH)] for session in range(SESSIONS)}
    # A session that was emptied has a state, but nothing that anybody could be given.
    assert all(len(workers) == 1 for workers in holders.values())
    assert kit.bus.counts(queue).active == 0
    again = await kit.receiver(queue, session_id="s0")
    assert bytes(await again.session.get_state()) == b"CLOSED"


@both
async def test_dead_letters_are_corrected_and_sent_again(kit: Kit) -> None:
    """deadletter_messages_and_correct: what is faulty is put aside with why, mended from there, and sent anew."""
    queue = kit.bus.queue()
    sender, receiver, dead = await asyncio.gather(
        kit.sender(queue), kit.receiver(queue), kit.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    )
    bodies = ["flour", "wrong: sgar", "salt"]
    await sender.send_messages([ServiceBusMessage(body, application_properties={"batch": "7"}) for body in bodies])
    for message in await first(receiver, 3):
        if text(message).startswith("wrong"):
            await receiver.dead_letter_message(message, reason="Misspelt", error_description="sgar")
        else:
            await receiver.complete_message(message)
    (faulty,) = await first(dead)
    assert (faulty.dead_letter_reason, faulty.dead_letter_error_description) == ("Misspelt", "sgar")
    kept: dict[Any, Any] = {
        name: value for name, value in faulty.application_properties.items() if not name.startswith(b"DeadLetter")
    }
    await sender.send_messages(ServiceBusMessage("sugar", application_properties=kept))
    await dead.complete_message(faulty)
    (mended,) = await first(receiver)
    assert (text(mended), mended.application_properties) == ("sugar", {b"batch": b"7"})
    await receiver.complete_message(mended)
    counts = kit.bus.counts(queue)
    assert (counts.active, counts.dead_letter) == (0, 0)
