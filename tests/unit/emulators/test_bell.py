"""Who waits for a queue hears of its messages, of no other's, at once or when they become visible."""

import asyncio

from localcloud.emulators.bell import LONGEST_S, Bell


def test_it_rings_for_its_own_queue_only() -> None:
    async def run() -> None:
        bell = Bell()
        with bell.ear("a/one") as one, bell.ear("a/one") as again, bell.ear("a/two") as two:
            bell.ring("a/one")
            assert (one.is_set(), again.is_set(), two.is_set()) == (True, True, False)
        bell.ring("a/one")  # nobody there any more

    asyncio.run(run())


def test_a_hidden_message_rings_when_it_is_visible_and_many_of_one_second_once() -> None:
    async def run() -> None:
        bell = Bell()
        loop = asyncio.get_running_loop()
        with bell.ear("a/one") as ear:
            began = loop.time()
            for _ in range(1000):
                bell.ring("a/one", 0.2)
            bell.ring("a/one", LONGEST_S + 1)  # the next look finds that one
            assert not ear.is_set()
            assert len(bell._later) <= 2
            async with asyncio.timeout(5):
                await ear.wait()
            assert loop.time() - began >= 0.2
            assert len(bell._later) <= 1

    asyncio.run(run())
