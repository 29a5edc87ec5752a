"""What is to be ingested: log files as a vendor writes them, and the messages that announce them.

Everything follows from three numbers, so that server, contestants and checks agree without sharing files.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

BUCKET = "bench-logs"
_TIME = "2026-10-31T12:30:45Z"
_LEVEL = 6  # what gzip and most log vendors use
_RECORD = (
    '{"eventId":"%06d-%06d","eventType":"CREATED","eventTimestamp":"2026-10-31T12:%02d:%02d.%03dZ",'
    '"insertionTimestamp":"2026-10-31T12:31:02.114Z","fieldErrors":[],"filePath":"C:/Users/u%04d/Documents/",'
    '"fileName":"report-%06d.pdf","fileType":"FILE","fileCategory":"PDF","fileSize":%d,"fileOwner":"u%04d",'
    '"sha256Checksum":"%s","modifyTimestamp":"2026-10-31T12:30:44.000Z",'
    '"deviceUserName":"u%04d@example.com","osHostName":"HOST-%04d",'
    '"domainName":"host-%04d.example.com","actor":null,"publicIpAddress":"192.0.2.%d","privateIpAddresses":["10.0.%d.%d"],'
    '"source":"Endpoint","exposure":["ApplicationRead"],"processOwner":"u%04d"}'
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Load:
    """`files` gz files of `records` lines each (~690 bytes a line), announced `per_message` at a time."""

    files: int
    records: int
    per_message: int = 10

    @property
    def total(self) -> int:
        """Records altogether."""
        return self.files * self.records

    def key(self, file: int) -> str:
        """The object's key."""
        return f"logs/2026/10/31/file-{file:06d}.gz"

    def body(self, file: int) -> bytes:
        """The object's content."""
        pack = zlib.compressobj(_LEVEL, wbits=31)
        return pack.compress(b"".join(line.encode() + b"\n" for line in self.lines(file))) + pack.flush()

    def lines(self, file: int) -> Iterator[str]:
        """The file's records; the id at the beginning is `<file>-<number>`."""
        for number in range(self.records):
            hashed = hashlib.sha256(b"%d-%d" % (file, number)).hexdigest()
            user, host = int(hashed[:3], 16), int(hashed[3:5], 16)
            yield _RECORD % (
                file, number, number // 60 % 60, number % 60, host, user, number, int(hashed[:6], 16), user,
                hashed, user, host, host, host, host, user % 256, user,
            )  # fmt: skip

    def messages(self) -> Iterator[str]:
        """Bodies as S3 notifies, `per_message` objects each."""
        for first in range(0, self.files, self.per_message):
            records = [
                {
                    "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1", "eventTime": _TIME,
                    "eventName": "ObjectCreated:Put",
                    "s3": {"bucket": {"name": BUCKET}, "object": {"key": self.key(file)}},
                }
                for file in range(first, min(first + self.per_message, self.files))
            ]  # fmt: skip
            yield msgspec.json.encode({"Records": records}).decode()
