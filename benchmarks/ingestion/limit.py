"""Contestant: the straight line, which shows what this machine allows. `python -m … ORIGIN`.

The same rows through the same calls with the same credentials, without what makes them safe: no retries, no progress,
no dead letters, no validation. HTTP and signatures by hand on asyncio, isal for gz both ways, all lines of a file
escaped in one call.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from isal import isal_zlib

from benchmarks.ingestion.contestant import compete
from benchmarks.ingestion.load import BUCKET

_FILES = 100
_THREADS = 2
_MAX_BYTES = 1_000_000
_RECEIVERS = 4


class Wire:
    """Connections to one origin, each used by one call at a time."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(self, head: str, body: bytes = b"") -> bytes:
        """`head`: the request line and headers without their end. The answer's body."""
        if self._free:
            reader, writer = self._free.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**22)
        lead = f"{head}Host: {self._host}:{self._port}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        writer.writelines([lead, body])
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(answer.decode())
        at = answer.find(b"Content-Length: ")
        got = await reader.readexactly(int(answer[at + 16 : answer.index(b"\r", at)])) if at > 0 else b""
        self._free.append((reader, writer))
        return got


class Line:
    """One process's work on the queue until it is empty."""

    def __init__(self, origin: str) -> None:
        self._wire = Wire(origin)
        self._pool = ThreadPoolExecutor(_THREADS)
        self._room = asyncio.Semaphore(_FILES)

    async def run(self) -> None:
        """Credentials; then some receivers, each message's files at once."""
        assume = f"Action=AssumeRoleWithWebIdentity&WebIdentityToken={await self._token('api://bench')}".encode()
        form = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        answer, bearer = await asyncio.gather(self._wire.call(form, assume), self._token("https://monitor.azure.com"))
        self._keys = Keys(answer.decode())
        self._upload = f"{_UPLOAD}Authorization: Bearer {bearer}\r\n"
        async with asyncio.TaskGroup() as group:
            for _ in range(_RECEIVERS):
                group.create_task(self._receive(group))

    async def _token(self, audience: str) -> str:
        path = f"/identity?api-version=2019-08-01&resource={audience}&client_id=bench"
        answer = await self._wire.call(f"GET {path} HTTP/1.1\r\nX-IDENTITY-HEADER: bench\r\n")
        return str(msgspec.json.decode(answer)["access_token"])

    async def _receive(self, group: asyncio.TaskGroup) -> None:
        while True:
            asked = {"QueueUrl": "bench", "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0}
            got = msgspec.json.decode(await self._sqs("ReceiveMessage", asked))
            if not got:
                return
            for message in got["Messages"]:
                group.create_task(self._message(message))

    async def _message(self, message: dict[str, Any]) -> None:
        records = msgspec.json.decode(message["Body"])["Records"]
        await asyncio.gather(*(self._file(one["s3"]["object"]["key"], one["eventTime"]) for one in records))
        await self._sqs("DeleteMessage", {"QueueUrl": "bench", "ReceiptHandle": message["ReceiptHandle"]})

    async def _file(self, key: str, time: str) -> None:
        async with self._room:
            path = f"/{BUCKET}/{key}"
            body = await self._wire.call(f"GET {path} HTTP/1.1\r\n{self._keys.sign('GET', path, b'', 's3')}")
            bodies = await asyncio.get_running_loop().run_in_executor(self._pool, _bodies, body, key, time)
            await asyncio.gather(*(self._wire.call(self._upload, one) for one in bodies))

    async def _sqs(self, operation: str, fields: dict[str, Any]) -> bytes:
        body = msgspec.json.encode(fields)
        head = f"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.{operation}\r\n"
        return await self._wire.call(head + self._keys.sign("POST", "/", body, "sqs"), body)


class Keys:
    """Temporary credentials and AWS's signature version 4."""

    def __init__(self, answer: str) -> None:
        found = re.findall(r"<(AccessKeyId|SecretAccessKey|SessionToken)>([^<]*)<", answer)
        self._access, self._secret, self._token = (value for _, value in found)
        self._keys: dict[str, bytes] = {}

    def sign(self, method: str, path: str, body: bytes, service: str) -> str:
        """Header lines for a request without a query."""
        time = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        scope = f"{time[:8]}/eu-central-1/{service}/aws4_request"
        key = self._keys.get(scope)
        if key is None:
            key = f"AWS4{self._secret}".encode()
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys[scope] = key
        hashed = hashlib.sha256(body).hexdigest()
        names = "x-amz-content-sha256;x-amz-date;x-amz-security-token"
        asked = f"{method}\n{path}\n\nx-amz-content-sha256:{hashed}\nx-amz-date:{time}\n"
        asked += f"x-amz-security-token:{self._token}\n\n{names}\n{hashed}"
        text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
        mac = hmac.digest(key, text.encode(), "sha256").hex()
        return (
            f"X-Amz-Content-SHA256: {hashed}\r\nX-Amz-Date: {time}\r\nX-Amz-Security-Token: {self._token}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={self._access}/{scope}, SignedHeaders={names}, "
            f"Signature={mac}\r\n"
        )


_UPLOAD = (
    "POST /dataCollectionRules/dcr-bench/streams/Custom-Bench_CL?api-version=2023-01-01 HTTP/1.1\r\n"
    "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
)


def _bodies(packed: bytes, key: str, time: str) -> list[bytes]:
    """A file's upload bodies, compressed."""
    return [isal_zlib.compress(body, 1, wbits=31) for body in _chunks(_rows(packed, key, time))]


def _rows(packed: bytes, key: str, time: str) -> list[bytes]:
    encode = msgspec.json.encode
    texts = isal_zlib.decompress(packed, wbits=31).rstrip(b"\n")
    front = b'{"TimeGenerated":%b,"Bucket_Name":"%b","Key":%b,"Actual_Time":%b,"Raw_Data":"' % (
        encode("2026-10-31T12:40:00.000Z"), BUCKET.encode(), encode(key), encode(time),
    )  # fmt: skip
    back = b'","Record_Id":"%b-' % hashlib.sha256(key.encode()).hexdigest()[:24].encode()
    # DEL passes JSON escaping unchanged, and is in none of these records
    escaped = encode(texts.replace(b"\n", b"\x7f").decode())[1:-1].split(b"\x7f")
    return [b'%b%b%b%d","Part":1,"Parts":1}' % (front, text, back, at) for at, text in enumerate(escaped, 1)]


def _chunks(rows: list[bytes]) -> Iterator[bytes]:
    size = start = 0
    for at, row in enumerate(rows):
        if size + len(row) + 1 > _MAX_BYTES - 2:
            yield b"[" + b",".join(rows[start:at]) + b"]"
            size, start = 0, at
        size += len(row) + 1
    yield b"[" + b",".join(rows[start:]) + b"]"


async def _main(origin: str) -> None:
    await Line(origin).run()


if __name__ == "__main__":
    compete(lambda: asyncio.run(_main(sys.argv[1])))
