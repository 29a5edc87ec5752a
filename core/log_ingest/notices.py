"""Queue messages → the files they announce.

Three forms, each also inside an SNS notification: the document's own (`Bucket Name`, `Object Key`, `Event Time`; one
object or a list of them), S3 event notifications (several `Records`, keys URL-encoded), and S3's test event (nothing
to do). A fourth, our own operator's, names a dead letter to be tried again (`Dead Letter`, `Positions`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import msgspec

_LETTER = re.compile(r"(files/[0-9a-f]{24}/[A-Za-z0-9-]{1,100}|messages/[A-Za-z0-9_-]{1,100})\.json")
_SNS_DEPTH = 3  # a notification may travel through more than one topic; more is an attack or a mistake


@dataclass(frozen=True, slots=True)
class File:
    """One announced object."""

    bucket: str
    key: str
    event_time: str = ""
    version: str = ""
    etag: str = ""

    def body(self) -> str:
        """A message that announces this file again, in the document's form."""
        return msgspec.json.encode(
            {"Bucket Name": self.bucket, "Object Key": self.key, "Event Time": self.event_time}
        ).decode()


@dataclass(frozen=True, slots=True)
class Again:
    """A dead letter to be tried again."""

    letter: str
    """Its blob in the dead-letter place."""
    positions: tuple[int, ...] = ()
    """Which of its entries; none named: all."""

    def body(self) -> str:
        """The message that asks for it."""
        return msgspec.json.encode({"Dead Letter": self.letter, "Positions": self.positions}).decode()


@dataclass(slots=True)
class Notice:
    """What a message says."""

    files: list[File] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Why (parts of) it cannot be understood."""
    ignored: int = 0
    """Events that announce no new object."""
    again: Again | None = None


def parse(body: str) -> Notice:
    """Never raises: what cannot be understood is named in `faults`."""
    notice = Notice()
    _read(body, notice, _SNS_DEPTH)
    notice.files = list(dict.fromkeys(notice.files))
    return notice


def _read(body: str, notice: Notice, depth: int) -> None:
    try:
        value = msgspec.json.decode(body.strip().removeprefix("\ufeff").encode("utf-8"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        notice.faults.append(f"not JSON: {error}")
        return
    if isinstance(value, list) and value:
        for item in value:
            _form(item, notice, depth)
    else:
        _form(value, notice, depth)


def _form(value: Any, notice: Notice, depth: int) -> None:
    if not isinstance(value, dict):
        notice.faults.append("unknown form: no JSON object")
    elif "Dead Letter" in value:
        _again(value, notice)
    elif "Bucket Name" in value or "Object Key" in value:
        _document(value, notice)
    elif isinstance(value.get("Records"), list):
        for number, record in enumerate(value["Records"]):
            _event(record, number, notice)
    elif value.get("Event") == "s3:TestEvent":
        notice.ignored += 1
    elif isinstance(value.get("Message"), str) and ("TopicArn" in value or value.get("Type") == "Notification"):
        if depth:
            _read(value["Message"], notice, depth - 1)
        else:
            notice.faults.append("unknown form: SNS notifications nested too deep")
    else:
        notice.faults.append("unknown form: none of the document's, an S3 event, an SNS notification")


def _document(value: dict[str, Any], notice: Notice) -> None:
    bucket, key = value.get("Bucket Name"), value.get("Object Key")
    if isinstance(bucket, str) and bucket and isinstance(key, str) and key:
        time = value.get("Event Time")
        notice.files.append(File(bucket, key, time if isinstance(time, str) else ""))
    else:
        notice.faults.append("unknown form: Bucket Name and Object Key must be texts, not empty")


def _again(value: dict[str, Any], notice: Notice) -> None:
    letter, positions = value["Dead Letter"], value.get("Positions", [])
    numbers = isinstance(positions, list) and all(type(one) is int and one >= 0 for one in positions)
    if isinstance(letter, str) and _LETTER.fullmatch(letter) and numbers and notice.again is None:
        notice.again = Again(letter, tuple(positions))
    else:
        notice.faults.append("unknown form: Dead Letter must be one letter's name, Positions numbers")


def _event(record: Any, number: int, notice: Notice) -> None:
    try:
        s3, name = record["s3"], str(record.get("eventName", "ObjectCreated:"))
        bucket, entry = s3["bucket"]["name"], s3["object"]
        key = unquote_plus(entry["key"], errors="strict")
        time, version, etag = record.get("eventTime"), entry.get("versionId"), entry.get("eTag")
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        notice.faults.append(f"unknown form: Records[{number}] is no S3 event ({type(error).__name__}: {error})")
        return
    if not (isinstance(bucket, str) and bucket and key):
        notice.faults.append(f"unknown form: Records[{number}] names no bucket or no key")
    elif not name.removeprefix("s3:").startswith("ObjectCreated:"):
        notice.ignored += 1
    else:
        texts = (value if isinstance(value, str) else "" for value in (time, version, etag))
        notice.files.append(File(bucket, key, *texts))
