"""Poison messages go back exactly once, however often whoever moves them is killed."""

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient, aio

from core.messages.poison import Poison, wrap
from localcloud.deadletters.poison_journal import Journal
from localcloud.deadletters.poison_moves import Busy, PoisonMoves
from localcloud.host.queue_access import TokenQueueAccess
from tests.integration.deadletters.zygote import Victims
from tests.integration.emulators.local import GROUP, QUEUE_CONTRIBUTOR, Local, TokenOf

ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/dead"
KILLS, WAITING = 50, 8


class Queues:
    """`work` and its poison queue, through the door, and what is needed to move between them."""

    def __init__(self, local: Local, folder: Path) -> None:
        storage, self._local, self.folder = local.cloud.storage, local, folder
        local.run(storage.put_account(ACCOUNT, "dead"))
        for name in ("work", "work-poison"):
            local.run(storage.remove_queue("dead", name))
            local.run(storage.put_queue(f"{ACCOUNT}/queueServices/default/queues/{name}", "dead", name))
        self.principal = local.identity("mover")
        local.assign(self.principal, QUEUE_CONTRIBUTOR, ACCOUNT)
        self.work, self.poison = self.client("work"), self.client("work-poison")

    def client(self, name: str) -> QueueClient:
        return QueueClient(
            f"{self._local.cloud.endpoints['queue']}/dead", name, credential=TokenOf(self._local, self.principal),
            connection_verify=self._local.ca,
        )  # fmt: skip

    def job(self, ids: list[str], dies_at: int = -1) -> dict[str, Any]:
        token = self._local.do(lambda: self._local.cloud.identity.token(self.principal, "https://storage.azure.com"))
        return {
            "journal": str(self.folder / "moves.sqlite"), "token": token, "ca": self._local.ca,
            "queue": self._local.cloud.endpoints["queue"], "ids": ids, "dies_at": dies_at,
        }  # fmt: skip

    def journal(self) -> Journal:
        return Journal(self.folder / "moves.sqlite")

    def depth(self, name: str) -> tuple[int, int]:
        """(active, in flight) as `wait` sees it."""
        (found,) = [one for one in self._local.run(self._local.cloud.storage.depths()) if one.name == f"dead/{name}"]
        return found.active, found.in_flight


def contents(client: QueueClient) -> list[str]:
    return sorted(message.content for message in client.receive_messages(messages_per_page=32, visibility_timeout=600))


@pytest.fixture
def queues(local: Local, tmp_path: Path) -> Queues:
    return Queues(local, tmp_path)


def test_killed_at_any_step_each_comes_back_once(local: Local, queues: Queues) -> None:
    random_, killed, sent, taken = random.Random(7), 0, dict[str, str](), list[str]()

    def work() -> None:
        """The worker: what it received is settled at once."""
        for message in queues.work.receive_messages(max_messages=20, visibility_timeout=600):
            taken.append(message.content)
            queues.work.delete_message(message)

    for number in range(5):
        queues.poison.send_message(f"other{number}", time_to_live=-1)
    with Victims("move_poison") as victims:
        while killed < KILLS:
            for _ in range(WAITING - queues.depth("work-poison")[0]):  # enough for each to be killed in the midst of
                text = f"w{len(sent)}"
                sent[queues.poison.send_message(text, time_to_live=-1).id] = text
            by_step = random_.random() < 0.8
            job = queues.job(list(sent), random_.randint(1, 95) if by_step else -1)
            killed += victims.run(job, kill_after_s=None if by_step else random_.uniform(0, 0.15))
            if random_.random() < 0.3:
                work()
        deadline = time.monotonic() + 20
        while len(taken) < len(sent) and time.monotonic() < deadline:  # what a killed one held comes back
            assert not victims.run(queues.job(list(sent)))
            work()
    journal = queues.journal()
    unseen = journal.unseen("dead", "work", 0)
    local.do(lambda: setattr(local.cloud.storage, "unseen", lambda _account, name: unseen if name == "work" else 0))
    assert queues.depth("work") == (0, 0), "copies that nobody will see count as in flight"
    assert sorted(taken) == sorted(sent.values())
    assert contents(queues.poison) == [f"other{number}" for number in range(5)]
    assert (journal.open(), journal.held()) == ([], [])
    assert killed >= 50


def test_what_was_asked_for_is_moved_counted_and_paced(local: Local, queues: Queues) -> None:
    asyncio.run(_paced(local, queues))


def test_what_a_step_put_aside_goes_back_without_its_wrapping(local: Local, queues: Queues) -> None:
    asyncio.run(_unwrapped(local, queues))


async def _unwrapped(local: Local, queues: Queues) -> None:
    original = ' {"n": "<é&\\u0001>"}\r\n'
    poison = Poison(reason="never", function="f", time="t", body=original)
    sent = queues.poison.send_message(wrap(poison, id="1", traceparent="", attempt=1).decode(), time_to_live=-1)
    token = str(queues.job([])["token"])
    access = TokenQueueAccess(lambda _client, _audience: token, ca_file=local.ca)
    address, journal = local.cloud.endpoints["queue"], queues.journal()
    moves = PoisonMoves(journal, lambda account, queue: access.client(f"{address}/{account}", queue, None))
    moves.start("dead", "work", [sent.id])
    await moves.wait()
    journal.close()
    assert (moves.moved, moves.failure) == (1, "")
    assert contents(queues.work) == [original]
    assert contents(queues.poison) == []


async def _paced(local: Local, queues: Queues) -> None:
    ids = [queues.poison.send_message(f"m{number}", time_to_live=-1).id for number in range(12)]
    token = str(queues.job([])["token"])
    access = TokenQueueAccess(lambda _client, _audience: token, ca_file=local.ca)
    address = local.cloud.endpoints["queue"]
    journal = queues.journal()
    moves = PoisonMoves(journal, lambda account, queue: access.client(f"{address}/{account}", queue, None))
    began = time.monotonic()
    moves.start("dead", "work", ids[:8], rate=16)
    with pytest.raises(Busy, match="are being moved already"):
        moves.start("dead", "work", ids)
    await moves.wait()
    assert (moves.moved, moves.failure) == (8, "")
    assert time.monotonic() - began >= 0.4
    assert len(contents(queues.work)) == 8
    assert len(contents(queues.poison)) == 4
    journal.close()


def test_a_message_in_other_hands_is_left_alone(local: Local, queues: Queues) -> None:
    """Somebody receives it after us, before we delete it: its receipt is theirs, and so is the message."""
    asyncio.run(_in_other_hands(local, queues))


async def _in_other_hands(local: Local, queues: Queues) -> None:
    sent = queues.poison.send_message("mine", time_to_live=-1)
    token = str(queues.job([])["token"])
    access = TokenQueueAccess(lambda _client, _audience: token, ca_file=local.ca)
    address = local.cloud.endpoints["queue"]
    journal = queues.journal()

    def client(account: str, queue: str) -> aio.QueueClient:
        made = access.client(f"{address}/{account}", queue, None)
        if queue == "work":
            put = made.send_message

            async def slowly(*args: Any, **named: Any) -> Any:
                (held,) = await asyncio.to_thread(theirs)
                assert held.id == sent.id
                return await put(*args, **named)

            made.send_message = slowly  # type: ignore[method-assign]
        return made

    def theirs() -> list[Any]:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if got := list(queues.poison.receive_messages(max_messages=1, visibility_timeout=600)):
                return got
        raise AssertionError("it never came back")

    moves = PoisonMoves(journal, client, hold_s=1)
    moves.start("dead", "work", [sent.id])
    await moves.wait()
    assert (moves.moved, moves.failure) == (0, "")
    assert (contents(queues.work), queues.depth("work")) == ([], (0, 0))
    assert (sum(queues.depth("work-poison")), journal.open()) == (1, [])
    journal.close()
