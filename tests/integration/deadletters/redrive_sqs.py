"""A process that redrives some messages of an SQS dead-letter queue as the command does, and may end at any step."""

from pathlib import Path
from typing import Any

import boto3

from localcloud.deadletters.holds import Holds
from localcloud.deadletters.place import Pace
from localcloud.deadletters.sqs_place import SqsPlace
from tests.integration.deadletters.zygote import Death
from tests.integration.emulators.local import REGION

# Before any fork: what boto3 reads from its own files is read once.
boto3.client("sqs", region_name=REGION, aws_access_key_id="none", aws_secret_access_key="none")


def client_of(job: dict[str, Any]) -> Any:
    return boto3.client(
        "sqs", region_name=REGION, endpoint_url=job["sqs"], aws_access_key_id=job["key"],
        aws_secret_access_key=job["secret"], verify=job["ca"],
    )  # fmt: skip


def place_of(job: dict[str, Any], client: Any) -> SqsPlace:
    return SqsPlace(
        client, url=job["url"], system="s", sources=[job["source"]], receives=1, holds=Holds(Path(job["holds"]))
    )


def main(job: dict[str, Any]) -> None:
    client = client_of(job)
    death = Death(job["dies_at"])
    for name in (
        "receive_message", "change_message_visibility_batch", "delete_message_batch", "start_message_move_task",
        "list_message_move_tasks",
    ):  # fmt: skip
        death.stand_around(client, name)
    place = place_of(job, client)
    place.recover()
    chosen = [entry for entry in place.entries() if entry.excerpt.startswith("w")]
    place.redrive(chosen, Pace(job["rate"]), lambda _: None)
