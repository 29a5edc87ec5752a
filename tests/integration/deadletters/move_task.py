"""A process that runs SQS move tasks on a file of queues, and may be killed at any moment."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from localcloud.emulators.aws.sqs_moves import Moves
from localcloud.emulators.aws.sqs_store import QueueStore
from localcloud.emulators.aws.sqs_wire import DEFAULTS


def arn(queue: str) -> str:
    return f"arn:aws:sqs:eu-central-1:123456789012:{queue}"


def store_of(file: Path) -> QueueStore:
    store = QueueStore(file, time.time)
    policy = json.dumps({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 1})
    store.put("dead", {**DEFAULTS})
    store.put("main", {**DEFAULTS, "RedrivePolicy": policy})
    return store


def main(job: dict[str, Any]) -> None:
    asyncio.run(move(Path(job["file"]), job["rate"]))


async def move(file: Path, rate: int) -> None:
    store = store_of(file)
    moves = Moves(store, arn)
    moves.resume()
    if not store.moves.running():
        moves.start("dead", {"SourceArn": arn("dead"), "MaxNumberOfMessagesPerSecond": rate})
    await moves.wait()
    store.close()
