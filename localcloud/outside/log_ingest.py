"""How the outside world gives log_ingest its input: a log vendor that puts objects into the bucket.

Knows nothing of S3 or SQS: where things go is a callable. The sample is a day of file events in Code42's manner, of our
own making: names, machines and addresses are synthetic, and a seed gives the same bytes each time.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DAY = "2025-10-31"
_EVENTS = ("FILE_CREATED", "FILE_MODIFIED", "FILE_DELETED", "FILE_DOWNLOADED", "FILE_SHARED", "REMOVABLE_MEDIA_CREATED")
_FOLDERS = ("Documents", "Downloads", "Desktop", "Projects/Q4", "Проекты", "資料")
_FILES = ("report", "budget", "notes", "design", "export", "übersicht", 'summary "final"')  # fmt: skip
_ENDINGS = ("pdf", "xlsx", "docx", "csv", "png", "zip")
_QUEUE_MESSAGE = ".sqs.json"


@dataclass(frozen=True, slots=True)
class Expected:
    """What ingesting the whole sample gives."""

    records_in: int
    records_out: int
    records_dead: int


def sample_objects(seed: int = 42) -> Iterator[tuple[str, bytes]]:
    """Keys and contents of the sample day, in the order of their writing."""
    return iter([(key, body) for key, body, _, _ in _sample(seed)])


def expected(seed: int = 42) -> Expected:
    """The sample's figures, counted while it is made and not by what is to be tested."""
    out = dead = 0
    for _, _, good, bad in _sample(seed):
        out += good
        dead += bad
    return Expected(out + dead, out, dead)


def feed(
    paths: Iterable[Path],
    put: Callable[[str, bytes | Path], None],
    send: Callable[[str], None] | None = None,
) -> int:
    """Puts each file, and each file below each folder, as an object; returns how many were given.

    A file's key is its name, or its path below the given folder, with the folder's name first. The content of a file
    whose name ends in `.sqs.json` goes to the queue as a message's body instead, when `send` is given.
    """
    count = 0
    for path in paths:
        for file, key in _walk(path):
            if send is not None and file.name.endswith(_QUEUE_MESSAGE):
                send(file.read_text(encoding="utf-8"))
            else:
                put(key, file)
            count += 1
    return count


def _walk(path: Path) -> Iterator[tuple[Path, str]]:
    if not path.exists():
        raise FileNotFoundError(f"feed: {path} must be a file or a folder; there is none of that name")
    if path.is_file():
        yield path, path.name
        return
    top = path.resolve()
    for file in sorted(top.rglob("*")):
        if file.is_file():
            yield file, f"{top.name}/{file.relative_to(top).as_posix()}"


def _sample(seed: int) -> Iterator[tuple[str, bytes, int, int]]:
    """Key, content, records that are fine, records (or rests of files) that are dead."""
    random_ = random.Random(seed)  # noqa: S311 - reproducible sample data
    for hour in range(24):
        folder = f"logs/{DAY.replace('-', '/')}"
        size = random_.randint(300, 500) if 7 <= hour <= 18 else random_.randint(60, 120)
        for part in range(2):
            events = [_event(random_, hour, number) for number in range(size)]
            yield f"{folder}/file-events-{hour:02d}-{part}.gz", _packed(_lines(events)), size, 0
        events = [_event(random_, hour, number) for number in range(size // 2)]
        yield f"{folder}/alerts {hour:02d}.json", json.dumps(events, indent=1).encode(), len(events), 0
        events = [_event(random_, hour, number) for number in range(size // 4)]
        yield f"{folder}/audit-{hour:02d}.json.gz", _packed(json.dumps({"Records": events}).encode()), len(events), 0
    yield from _oddities(random_)
    yield from _faulty(random_)


def _oddities(random_: random.Random) -> Iterator[tuple[str, bytes, int, int]]:
    """Unusual, and fine."""
    events = [_event(random_, 9, number) for number in range(300)]
    text = _lines(events)
    folder = f"odd/{DAY}"
    yield f"{folder}/windows.json", b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"), 300, 0
    yield f"{folder}/utf-16.json", text.decode().encode("utf-16"), 300, 0
    yield f"{folder}/members.gz", _packed(_lines(events[:100])) + _packed(_lines(events[100:])), 300, 0
    yield f"{folder}/plain.gz", text, 300, 0
    yield f"{folder}/ключ + 100%.json", text.rstrip(b"\n"), 300, 0
    long_ = events[0] | {"content": "Ωμέγα " * 20_000}
    yield f"{folder}/long.json", _lines([long_, events[1]]), 2, 0
    yield f"{folder}/empty.json", b"", 0, 0
    yield f"{folder}/no-records.json", b'{"Records": []}', 0, 0


def _faulty(random_: random.Random) -> Iterator[tuple[str, bytes, int, int]]:
    """What belongs into the dead-letter place, between records that do not."""
    events = [_event(random_, 11, number) for number in range(200)]
    good = _lines(events).splitlines(keepends=True)
    folder = f"faulty/{DAY}"
    broken = [b'{"eventId": "cut off\n', b'{"value": NaN}\n', b"\xff\xfe\xfd\n", b'{"nul": "\x00"}\n', b"not json\n"]
    yield f"{folder}/broken-lines.json", b"".join(good[:100] + broken + good[100:]), 200, len(broken)
    stored = gzip.compress(b"".join(good), compresslevel=0, mtime=0)  # stored, so that the cut's place is known
    cut = stored[: 10 + 5 + len(b"".join(good[:50])) + 20]
    yield f"{folder}/truncated.gz", cut, 50, 1


def _event(random_: random.Random, hour: int, number: int) -> dict[str, Any]:
    user = random_.randint(1, 60)
    name = f"{random_.choice(_FILES)}.{random_.choice(_ENDINGS)}"
    second = number * 3599 // 500 % 3600
    return {
        "eventId": f"0_{random_.getrandbits(64):016x}_{number}",
        "eventType": random_.choice(_EVENTS),
        "eventTimestamp": f"{DAY}T{hour:02d}:{second // 60:02d}:{second % 60:02d}.{random_.randrange(1000):03d}Z",
        "userUid": f"{user:018d}",
        "deviceUserName": f"user-{user:03d}@example.com",
        "osHostName": f"WS-{user:04d}",
        "privateIpAddresses": [f"10.{user % 4}.{user}.{random_.randint(2, 250)}", "127.0.0.1"],
        "filePath": f"C:/Users/user-{user:03d}/{random_.choice(_FOLDERS)}/",
        "fileName": name,
        "fileSize": random_.randint(100, 50_000_000),
        "md5Checksum": f"{random_.getrandbits(128):032x}",
        "exposure": random_.sample(["ApplicationRead", "CloudStorage", "RemovableMedia"], random_.randint(0, 2)),
        "shared": random_.random() < 0.1,
    }


def _lines(events: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events).encode()


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)
