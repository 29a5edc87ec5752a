"""Contestant: the design document's own program, written as its author would. `python -m … ORIGIN`.

Receive ten messages; a message's files in a pool of five threads (metadata, download, decompress, parse, transform);
then all rows of the message to the HTTP Data Collector, 500 a chunk, chunks at once; then delete. boto3 and aiohttp.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote_plus
from urllib.request import Request, urlopen

import aiohttp
import boto3

from benchmarks.ingestion.contestant import compete

PARALLEL_S3_OPERATIONS = 5
MAX_EXECUTION_TIME_SECONDS = 270
CHUNK_SIZE = 500
WORKSPACE_ID = "bench"
SHARED_KEY = base64.b64encode(b"k" * 64).decode()


class Forwarder:
    """The document's three phases."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        more: Any = {"region_name": "eu-central-1", "endpoint_url": origin}
        # The token and the role are asked for when the run begins; the client of STS needs no credentials.
        self.sts = boto3.client("sts", aws_access_key_id="x", aws_secret_access_key="x", **more)  # noqa: S106
        self.more = more
        self.queue = f"{origin}/000000000000/bench"

    def run(self) -> None:
        """Until the queue is empty or time is up."""
        began = time.monotonic()
        session = self._assume()
        sqs, self.s3 = session.client("sqs", **self.more), session.client("s3", **self.more)
        with ThreadPoolExecutor(PARALLEL_S3_OPERATIONS) as self.pool:
            while time.monotonic() - began < MAX_EXECUTION_TIME_SECONDS:
                got = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)
                if not got.get("Messages"):
                    return
                for message in got["Messages"]:
                    if self._message(json.loads(message["Body"])):
                        sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def _assume(self) -> Any:
        url = f"{self.origin}/identity?api-version=2019-08-01&resource=https://management.azure.com/"
        with urlopen(Request(url, headers={"X-IDENTITY-HEADER": "bench"})) as answer:  # noqa: S310 - loopback
            token = json.load(answer)["access_token"]
        got = self.sts.assume_role_with_web_identity(
            RoleArn="arn:aws:iam::000000000000:role/Code42AzureRole", RoleSessionName="azure", WebIdentityToken=token
        )["Credentials"]
        return boto3.Session(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])

    def _message(self, body: dict[str, Any]) -> bool:
        found = self.pool.map(self._file, body["Records"])
        entries = [entry for entries in found for entry in entries]
        return asyncio.run(upload(self.origin, entries))

    def _file(self, record: dict[str, Any]) -> list[dict[str, str]]:
        bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
        self.s3.head_object(Bucket=bucket, Key=key)  # size and age; all of these are of today
        content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        text = gzip.decompress(content) if key.endswith(".gz") else content
        events = [json.loads(line) for line in text.decode().splitlines() if line.strip()]
        return [transform_to_standard_schema(bucket, key, record["eventTime"], event) for event in events]


def transform_to_standard_schema(bucket: str, key: str, event_time: str, event: Any) -> dict[str, str]:
    """The document's row."""
    text = json.dumps(event, separators=(",", ":"))
    return {"Bucket_Name": bucket, "Key": key, "Actual_Time": event_time, "Raw_Data": text}


async def upload(origin: str, entries: list[dict[str, str]]) -> bool:
    """Chunks of 500, all at once."""
    chunks = [entries[at : at + CHUNK_SIZE] for at in range(0, len(entries), CHUNK_SIZE)]
    async with aiohttp.ClientSession() as session:
        return all(await asyncio.gather(*(post(session, origin, chunk) for chunk in chunks)))


async def post(session: aiohttp.ClientSession, origin: str, chunk: list[dict[str, str]]) -> bool:
    """One signed request."""
    body = json.dumps(chunk).encode()
    date = formatdate(usegmt=True)
    text = f"POST\n{len(body)}\napplication/json\nx-ms-date:{date}\n/api/logs"
    mac = base64.b64encode(hmac.digest(base64.b64decode(SHARED_KEY), text.encode(), hashlib.sha256)).decode()
    headers = {"Content-Type": "application/json", "Log-Type": "Code42Logs", "x-ms-date": date,
               "Authorization": f"SharedKey {WORKSPACE_ID}:{mac}"}  # fmt: skip
    async with session.post(f"{origin}/api/logs?api-version=2016-04-01", data=body, headers=headers) as answer:
        return answer.status == 200


if __name__ == "__main__":
    forwarder = Forwarder(sys.argv[1])
    compete(forwarder.run)
