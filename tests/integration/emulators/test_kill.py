"""SIGKILL of the process that holds the cloud: what a client was told is stored is still there afterwards."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from azure.core.exceptions import HttpResponseError
from azure.monitor.ingestion import LogsIngestionClient
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue, TransportType
from azure.storage.blob import BlobClient
from azure.storage.queue import QueueClient
from botocore.config import Config

from tests.integration.emulators.local import REGION, FixedToken
from tests.integration.host.waiting import until

ROOT = Path(__file__).parents[3]


@contextmanager
def running(home: Path) -> Iterator[dict[str, Any]]:
    """A child with a cloud; killed without warning at the end."""
    command = [sys.executable, "-m", "tests.integration.emulators.child", str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def aws(said: dict[str, Any], service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=REGION,
        endpoint_url=said["endpoints"][service],
        aws_access_key_id=said["keys"][0],
        aws_secret_access_key=said["keys"][1],
        verify=said["endpoints"]["ca_file"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def storage(said: dict[str, Any]) -> tuple[BlobClient, QueueClient]:
    credential = FixedToken(said["tokens"]["https://storage.azure.com"])
    more: dict[str, Any] = {
        "credential": credential,
        "connection_verify": said["endpoints"]["ca_file"],
        "retry_total": 0,
    }
    return (
        BlobClient.from_blob_url(f"{said['endpoints']['blob']}/stkill/pages/b", **more),
        QueueClient.from_queue_url(f"{said['endpoints']['queue']}/stkill/work", **more),
    )


def bus(said: dict[str, Any]) -> ServiceBusClient:
    return ServiceBusClient(
        "localhost",
        FixedToken(said["tokens"]["https://servicebus.azure.net"]),
        custom_endpoint_address=f"sb://{said['endpoints']['servicebus']}",
        transport_type=TransportType.Amqp,
        connection_verify=said["endpoints"]["ca_file"],
        retry_total=0,
    )


EVERYTHING: dict[str, Any] = {
    "message_id": "m", "correlation_id": "c", "subject": "s", "content_type": "application/json", "to": "t",
    "reply_to": "r", "reply_to_session_id": "rs", "session_id": "x", "time_to_live": timedelta(hours=9),
}  # fmt: skip
"""What a message can say of itself."""


def test_what_service_bus_acknowledged_survives(tmp_path: Path) -> None:
    """Sent, completed, dead-lettered and scheduled; what was locked is there again, not completed and not lost."""
    later = datetime.now(UTC) + timedelta(hours=1)
    with running(tmp_path) as before, bus(before) as client:
        with client.get_queue_sender("jobs") as sender, client.get_topic_sender("news") as topic:
            sender.send_messages([ServiceBusMessage(body) for body in ("done", "broken", "locked")])
            sender.send_messages(ServiceBusMessage("waiting", **EVERYTHING))
            sender.schedule_messages(ServiceBusMessage("later"), later)
            topic.send_messages(ServiceBusMessage("copied"))
        with client.get_queue_receiver("jobs") as receiver:
            done, broken, locked = receiver.receive_messages(3, max_wait_time=10)
            receiver.complete_message(done)
            receiver.dead_letter_message(broken, reason="Broken")
            assert str(locked) == "locked"
            os.kill(before["pid"], signal.SIGKILL)
    with running(tmp_path) as after, bus({**after, "tokens": before["tokens"]}) as client:
        assert after["endpoints"]["servicebus"] == before["endpoints"]["servicebus"]
        with client.get_queue_receiver("jobs") as receiver:
            assert [str(one) for one in receiver.peek_messages(10)] == ["locked", "waiting", "later"]
            again, waiting = receiver.receive_messages(2, max_wait_time=10)
            assert (str(again), str(waiting)) == ("locked", "waiting")
            assert {name: getattr(waiting, name) for name in EVERYTHING} == EVERYTHING
        with client.get_queue_receiver("jobs", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
            (dead,) = receiver.receive_messages(10, max_wait_time=10)
            assert (str(dead), dead.dead_letter_reason) == ("broken", "Broken")
        with client.get_subscription_receiver("news", "desk") as receiver:
            (copy,) = receiver.receive_messages(10, max_wait_time=10)
            assert str(copy) == "copied"


def test_everything_acknowledged_survives(tmp_path: Path) -> None:
    with running(tmp_path) as before:
        version = aws(before, "s3").put_object(Bucket="logs", Key="k", Body=b"data")
        url = aws(before, "sqs").get_queue_url(QueueName="events")["QueueUrl"]
        test_event, created = (aws(before, "sqs").receive_message(QueueUrl=url)["Messages"][0] for _ in range(2))
        blob, queue = storage(before)
        blob.upload_blob(b"data")
        queue.send_message("hello")
        LogsIngestionClient(
            before["endpoints"]["logs"],
            FixedToken(before["tokens"]["https://monitor.azure.com"]),
            connection_verify=before["endpoints"]["ca_file"],
        ).upload("dcr-1", "Custom-Events_CL", [{"Name": "n"}])
    with running(tmp_path) as after:
        assert after["endpoints"] == before["endpoints"]
        assert (after["secrets"], after["rows"], after["keys"]) == (1, 1, before["keys"])
        got = aws(after, "s3").get_object(Bucket="logs", Key="k")
        assert (got["Body"].read(), got["ETag"], got["VersionId"]) == (b"data", version["ETag"], version["VersionId"])
        sqs = aws(after, "sqs")
        assert json.loads(test_event["Body"])["Event"] == "s3:TestEvent"
        sqs.delete_message(QueueUrl=url, ReceiptHandle=test_event["ReceiptHandle"])
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=created["ReceiptHandle"], VisibilityTimeout=0)
        (again,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]  # and no second test event
        assert again["MessageId"] == created["MessageId"]
        blob, queue = storage({**after, "tokens": before["tokens"]})  # the old tokens are still good
        assert blob.download_blob().readall() == b"data"
        message = queue.receive_message()
        assert message is not None
        assert message.content == "hello"
        azurite = after["azurite"]
    for _ in range(200):  # Azurite ends by itself: it sees its stdin close
        if not Path(f"/proc/{azurite}").exists():
            break
        try:
            subprocess.run(["tail", f"--pid={azurite}", "-f", "/dev/null"], timeout=0.1, check=False)
        except subprocess.TimeoutExpired:
            continue
    assert not Path(f"/proc/{azurite}").exists()


def taken(blob: BlobClient) -> bool:
    """Whether a blob was taken; 503 is what clients try again: Azurite is on its way. Nothing else may be answered."""
    try:
        blob.upload_blob(b"data", overwrite=True)
    except HttpResponseError as error:
        if error.status_code != 503:
            raise
        return False
    return True


def test_an_azurite_that_is_killed_comes_back_with_what_was_declared(tmp_path: Path) -> None:
    with running(tmp_path) as said:
        blob, queue = storage(said)
        os.kill(said["azurite"], signal.SIGKILL)
        asyncio.run(until(lambda: taken(blob), limit_s=30))
        assert blob.download_blob().readall() == b"data"
        queue.send_message("hello")
        message = queue.receive_message()
        assert message is not None
        assert message.content == "hello"
        assert int((tmp_path / "azurite" / "azurite.pid").read_text()) != said["azurite"]
