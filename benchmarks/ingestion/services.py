"""The services that log_ingest speaks to, as a process beside it: real protocols, fixed latencies, no storage.

`python -m benchmarks.ingestion.services` prints its port and serves until its standard input ends. While a run lasts
it only moves bytes; what arrived is read afterwards (`GET /-/count`). One origin serves all services, told apart by
path and headers, with the latencies measured on the real ones.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import md5
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from benchmarks.ingestion.arrived import count
from benchmarks.ingestion.load import BUCKET, Load
from benchmarks.ingestion.wire import Connection, Reply, Request

S3_S, UPLOAD_S, RECEIVE_S, DELETE_S, BLOB_S, TOKEN_S = 0.030, 0.080, 0.020, 0.015, 0.010, 0.020
_JSON = b"Content-Type: application/json\r\n"
_AMZ_JSON = b"Content-Type: application/x-amz-json-1.0\r\n"
_XML = b"Content-Type: text/xml\r\n"
_STS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIABENCH</AccessKeyId><SecretAccessKey>bench\
</SecretAccessKey><SessionToken>bench</SessionToken><Expiration>{}</Expiration></Credentials>\
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""

Send = Callable[[Reply], None]


class Order(msgspec.Struct, frozen=True):
    """What the next run is about (`POST /-/begin`)."""

    files: int
    records: int
    per_message: int = 10
    bytes_per_s: float = 0
    """Uploads over this rate are refused with 429 (uncompressed bytes); 0: never."""


class Services:
    """All services of one run after another."""

    def __init__(self) -> None:
        self._made: tuple[Load, dict[str, bytes]] | None = None
        self._begin(Order(0, 0))

    def _begin(self, order: Order) -> None:
        load = Load(order.files, order.records, order.per_message)
        if self._made is None or self._made[0] != load:
            self._made = load, {load.key(file): load.body(file) for file in range(load.files)}
        self.load, self.objects = self._made
        self.etags = {key: md5(body, usedforsecurity=False).hexdigest() for key, body in self.objects.items()}
        self.messages = {f"m-{number}": body for number, body in enumerate(load.messages())}
        self.visible: deque[str] = deque(self.messages)
        self.receives: dict[str, int] = {}
        self.waiting: deque[tuple[int, Send]] = deque()
        self.blobs: dict[str, tuple[bytes, str]] = {}
        self.uploads: list[tuple[bytes, bool]] = []
        self.bucket = Bucket(order.bytes_per_s)
        self.calls = self.refused = self.uploaded_bytes = 0
        self.first = self.last = 0.0
        self.cpu = time.process_time()

    def answer(self, request: Request, send: Send) -> None:
        """Routes by path and headers."""
        path = request.path
        if path.startswith("/-/"):
            send(self._control(request))
            return
        self.calls += 1
        self.first = self.first or time.monotonic()
        if target := request.headers.get(b"x-amz-target"):
            self._sqs(target.rpartition(b".")[2].decode(), msgspec.json.decode(request.body), send)
        elif path.startswith(f"/{BUCKET}/"):
            send(self._object(request))
        elif path.startswith("/blobs/"):
            send(self._blob(request))
        elif path.startswith(("/dataCollectionRules/", "/api/logs")):
            send(self._upload(request))
        elif path.startswith("/identity"):
            fields = {"access_token": "bench", "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer",
                      "resource": parse_qs(urlsplit(path).query)["resource"][0]}  # fmt: skip
            send(Reply(200, msgspec.json.encode(fields), _JSON, TOKEN_S))
        elif request.body.startswith(b"Action=AssumeRole"):
            until = datetime.now(UTC) + timedelta(hours=1)
            send(Reply(200, _STS.format(f"{until:%Y-%m-%dT%H:%M:%SZ}").encode(), _XML, TOKEN_S))
        else:
            send(Reply(400))

    def _control(self, request: Request) -> Reply:
        if request.path == "/-/begin":
            self._begin(msgspec.json.decode(request.body, type=Order))
            return Reply(200)
        used = time.process_time() - self.cpu
        found = {
            "seconds": self.last - self.first, "cpu_s": used, "calls": self.calls, "refused": self.refused,
            "messages_left": len(self.messages), "uploads": len(self.uploads), "uploaded_bytes": self.uploaded_bytes,
            **count(self.load, self.objects, self.uploads),
        }  # fmt: skip
        self.uploads.clear()
        return Reply(200, msgspec.json.encode(found), _JSON)

    def _object(self, request: Request) -> Reply:
        key = unquote(urlsplit(request.path).path.removeprefix(f"/{BUCKET}/"))
        body = self.objects.get(key)
        if body is None:
            return Reply(404, after_s=S3_S)
        head = b'ETag: "%b"\r\nLast-Modified: Sat, 31 Oct 2026 12:30:45 GMT\r\n' % self.etags[key].encode()
        head += b"Content-Type: application/octet-stream\r\n"
        return Reply(200, body if request.method == "GET" else b"", head, S3_S)

    def _upload(self, request: Request) -> Reply:
        packed = request.headers.get(b"content-encoding") == b"gzip"
        size = int.from_bytes(request.body[-4:], "little") if packed else len(request.body)
        if not self.bucket.take(size):
            self.refused += 1
            return Reply(429, b"", b"Retry-After: 1\r\n", UPLOAD_S / 4)
        self.uploaded_bytes += size
        self.uploads.append((request.body, packed))
        return Reply(204 if packed else 200, after_s=UPLOAD_S)

    def _blob(self, request: Request) -> Reply:
        name = request.path
        kept = self.blobs.get(name)
        if request.method == "GET":
            if kept is None:
                return Reply(404, after_s=BLOB_S)
            return Reply(200, kept[0], b"ETag: %b\r\n" % kept[1].encode(), BLOB_S)
        if request.method == "DELETE":
            self.blobs.pop(name, None)
            return Reply(202, after_s=BLOB_S)
        match, none = request.headers.get(b"if-match"), request.headers.get(b"if-none-match")
        if (none and kept) or (match and (kept is None or kept[1] != match.decode())):
            return Reply(412, after_s=BLOB_S)
        etag = f'"{self.calls:x}"'
        self.blobs[name] = request.body, etag
        return Reply(201, b"", b"ETag: %b\r\n" % etag.encode(), BLOB_S)

    def _sqs(self, operation: str, asked: dict[str, Any], send: Send) -> None:
        if operation == "ReceiveMessage":
            self._receive(asked.get("MaxNumberOfMessages", 1), asked.get("WaitTimeSeconds", 0), send)
            return
        name = str(asked["ReceiptHandle"]).partition("/")[0]
        if operation == "DeleteMessage":
            self.last = time.monotonic() + DELETE_S
            self.messages.pop(name, None)
        elif asked["VisibilityTimeout"] == 0 and name in self.messages:
            self.visible.append(name)
        elif name in self.messages:  # longer than any run: only failures come back so late
            asyncio.get_running_loop().call_later(asked["VisibilityTimeout"], self.visible.append, name)
        self._wake()
        send(Reply(200, b"{}", _AMZ_JSON, DELETE_S))

    def _receive(self, most: int, wait_s: float, send: Send) -> None:
        if self.visible or not wait_s or not self.messages:  # nothing will ever come: a real queue would wait in vain
            send(Reply(200, self._taken(most), _AMZ_JSON, RECEIVE_S))
            return
        asking = most, send
        self.waiting.append(asking)
        asyncio.get_running_loop().call_later(wait_s, self._give_up, asking)

    def _give_up(self, asking: tuple[int, Send]) -> None:
        if asking in self.waiting:
            self.waiting.remove(asking)
            asking[1](Reply(200, b"{}", _AMZ_JSON))

    def _wake(self) -> None:
        while self.waiting and (self.visible or not self.messages):
            most, send = self.waiting.popleft()
            send(Reply(200, self._taken(most), _AMZ_JSON, RECEIVE_S))

    def _taken(self, most: int) -> bytes:
        found: list[dict[str, Any]] = []
        while self.visible and len(found) < most:
            name = self.visible.popleft()
            self.receives[name] = times = self.receives.get(name, 0) + 1
            found.append({
                "MessageId": name, "ReceiptHandle": f"{name}/{times}", "Body": self.messages[name],
                "Attributes": {"ApproximateReceiveCount": str(times)},
            })  # fmt: skip
        return msgspec.json.encode({"Messages": found} if found else {})


class Bucket:
    """How many bytes a second are let in: at most one second's worth at once."""

    def __init__(self, bytes_per_s: float) -> None:
        self._rate = self._there = bytes_per_s
        self._at = time.monotonic()

    def take(self, size: int) -> bool:
        """Whether `size` bytes are let in now."""
        if not self._rate:
            return True
        now = time.monotonic()
        self._there = min(self._rate, self._there + (now - self._at) * self._rate)
        self._at = now
        if size > self._there:
            return False
        self._there -= size
        return True


async def serve(certificate: str = "") -> None:
    """Until standard input ends, which it does when whoever started this is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    services = Services()
    server = await loop.create_server(partial(Connection, services.answer), "127.0.0.1", 0, ssl=context, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
