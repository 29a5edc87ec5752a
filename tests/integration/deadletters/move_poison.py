"""A process that moves poison messages, resuming first, and may end at any step."""

import asyncio
from pathlib import Path
from typing import Any

from azure.storage.queue.aio import QueueClient

from localcloud.deadletters.poison_journal import Journal
from localcloud.deadletters.poison_moves import PoisonMoves
from localcloud.host.queue_access import TokenQueueAccess
from tests.integration.deadletters.zygote import Death

HOLD_S = 1


def main(job: dict[str, Any]) -> None:
    asyncio.run(move(job))


async def move(job: dict[str, Any]) -> None:
    death = Death(job["dies_at"])
    journal = Journal(Path(job["journal"]))
    for name in ("begin", "copied", "end", "hold"):
        death.stand_around(journal, name)
    access = TokenQueueAccess(lambda _client, _audience: str(job["token"]), ca_file=job["ca"])

    def client(account: str, queue: str) -> QueueClient:
        made = access.client(f"{job['queue']}/{account}", queue, None)
        for name in ("send_message", "delete_message", "update_message"):
            death.stand_around(made, name)
        return made

    moves = PoisonMoves(journal, client, hold_s=HOLD_S)
    await moves.resume()
    moves.start("dead", "work", job["ids"])
    await moves.wait()
    assert moves.failure == "", moves.failure
    journal.close()
