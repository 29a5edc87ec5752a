"""The table of inputs: each row of the system's description, through the whole run."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from core.clients.faults import Corrupt
from tests.unit.log_ingest.world import World, gz, lines

A, B, C = '{"a":1}', '{"b":[2, 3]}', '{"c":"ü€"}'
TEXT = f"{A}\n{B}\n{C}\n"


@dataclass(frozen=True)
class Case:
    name: str
    body: bytes
    out: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    """How each dead-letter entry's reason begins, in order."""
    lines: tuple[int, ...] = ()
    key: str = "file.json"


def _bit_flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 0xFF]) + body[at + 1 :]


_STORED = gzip.compress(TEXT.encode() * 3, compresslevel=0, mtime=0)
_HEAD = 10 + 5  # gz header, header of the stored block
_LONG = "x" * 70_000

CASES = [
    Case("byte order mark", b"\xef\xbb\xbf" + TEXT.encode(), (A, B, C)),
    Case("CRLF", TEXT.replace("\n", "\r\n").encode(), (A, B, C)),
    Case("lone CR", TEXT.replace("\n", "\r").encode(), (A, B, C)),
    Case("blank lines", TEXT.replace("\n", "\n\n \t\n").encode(), (A, B, C)),
    Case("no final newline", TEXT.rstrip().encode(), (A, B, C)),
    Case("gz", gz(TEXT.encode()), (A, B, C), key="file.gz"),
    Case("gz members, cut inside a line", gz(TEXT.encode()[:10]) + gz(TEXT.encode()[10:]), (A, B, C), key="file.gz"),
    Case("gz members, one of them empty", gz(b"") + gz(TEXT.encode()) + gz(b""), (A, B, C), key="file.gz"),
    Case("gz padded with zeros", gz(TEXT.encode()) + bytes(512), (A, B, C), key="file.gz"),
    Case("gz name, plain bytes", TEXT.encode(), (A, B, C), key="file.gz"),
    Case("plain name, gz bytes", gz(TEXT.encode()), (A, B, C)),
    Case("gz of UTF-16", gz(TEXT.encode("utf-16")), (A, B, C), key="file.gz"),
    Case("UTF-16 LE with mark", b"\xff\xfe" + TEXT.encode("utf-16-le"), (A, B, C)),
    Case("UTF-16 BE with mark", b"\xfe\xff" + TEXT.encode("utf-16-be"), (A, B, C)),
    Case("UTF-16 without mark", TEXT.encode("utf-16-le"), (), ("not UTF-8",)),
    Case("UTF-16 BE without mark", TEXT.encode("utf-16-be"), (), ("not UTF-8",)),
    Case("UTF-16 cut in a character", b"\xff\xfe" + (A + "\n" + B).encode("utf-16-le")[:-1], (A,), ("broken UTF-16",)),
    Case("a broken line", lines(A, "{oops", B), (A, B), ("not JSON",), (2,)),
    Case("invalid UTF-8", b'%b\n{"x":"\xff"}\n%b' % (A.encode(), B.encode()), (A, B), ("invalid UTF-8",), (2,)),
    Case("NUL", b"%b\n\r\n\0{}\n%b" % (A.encode(), B.encode()), (A, B), ("NUL",), (3,)),
    Case("1,000 levels", lines("[" * 1000 + "]" * 1000, A), ("[" * 1000 + "]" * 1000, A)),
    Case("1,001 levels", lines(A, "[" * 1001 + "]" * 1001, B), (A, B), ("nesting over 1,000",), (2,)),
    Case("deep element", b"[1," + b"[" * 10**5 + b"]" * 10**5 + b",2]", ("1", "2"), ("nesting",), (1,)),
    Case("duplicate keys", lines('{"a":1,"a":2}'), ('{"a":1,"a":2}',)),
    Case("huge numbers", lines("1" * 5000, '{"n":1e999}', "-0.10E+2"), ("1" * 5000, '{"n":1e999}', "-0.10E+2")),
    Case("NaN", lines('{"n":NaN}', A), (A,), ("not JSON",), (1,)),
    Case("lone surrogate escape", lines(A, r'{"s":"\ud800"}'), (A, r'{"s":"\ud800"}')),
    Case("outer white space", b"  \t" + A.encode() + b" \t \n", (A,)),
    Case("truncated gz", _STORED[: _HEAD + len(TEXT.encode()) + 3], (A, B, C), ("truncated gz",), (4,), key="file.gz"),
    Case("gz cut in its trailer", gz(TEXT.encode())[:-4], (A, B, C), ("truncated gz",), key="file.gz"),
    Case("gz with a wrong sum", _bit_flipped(gz(TEXT.encode()), -8), (A, B, C), ("corrupt gz",), key="file.gz"),
    Case("garbage behind gz", gz(TEXT.encode()) + b"garbage", (A, B, C), ("corrupt gz",), key="file.gz"),
    Case("gz magic only", b"\x1f\x8b", (), ("truncated gz",), key="file.gz"),
    Case("empty file", b"", ()),
    Case("empty gz", gz(b""), (), key="file.gz"),
    Case("mark only", b"\xef\xbb\xbf", ()),
    Case("no Records", b'{"Records": []}', ()),
    Case("top-level array", b'[ {"a":1} ,\n{"b":[2, 3]},{"c":"\xc3\xbc\xe2\x82\xac"}]\n', (A, B, C)),
    Case("CloudTrail", f'{{"Records":[{A},{B},\n {C}]}}'.encode(), (A, B, C)),
    Case("scalars a line", lines("1", '"x"', "null", "true"), ("1", '"x"', "null", "true")),
    Case("DEL in a record", lines('"\x7f"', A), ('"\x7f"', A)),
    Case("odd key", lines(A), (A,), key='ключ +%41 "\\\n.json'),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_input(case: Case) -> None:
    world = World()
    world.feed(case.key, case.body)
    summary = world.run()

    assert world.texts() == list(case.out)
    entries = world.dead_entries()
    assert len(entries) == len(case.reasons), entries
    for entry, reason in zip(entries, case.reasons, strict=True):
        assert entry["reason"].startswith(reason)
        assert len(entry.get("excerpt", "")) <= 200
        assert entry.get("excerpt", "").isprintable()
    if case.lines:
        assert tuple(entry["line"] for entry in entries) == case.lines
    assert world.queue.messages == {}
    assert summary.records_in == len(case.out) + len(case.reasons)
    assert (summary.records_out, summary.records_dead) == (len(case.out), len(case.reasons))
    assert world.dead_messages() == []


def test_everything_before_the_damage_is_sent_whatever_the_blocks() -> None:
    body = lines(*(json.dumps({"n": number, "x": str(zlib.crc32(bytes([number % 256])))}) for number in range(5000)))
    packed = gzip.compress(body, mtime=0)
    damaged = packed[: len(packed) // 2] + bytes(64) + packed[len(packed) // 2 + 64 :]
    inflate = zlib.decompressobj(wbits=31)
    plain = b""
    try:
        for at in range(len(damaged)):
            plain += inflate.decompress(damaged[at : at + 1])
    except zlib.error:
        pass
    whole = plain[: plain.rindex(b"\n")].split(b"\n")
    world = World()
    world.feed("damaged.gz", damaged)
    summary = world.run()
    assert summary.records_out + summary.records_dead == len(whole) + 1
    assert world.dead_entries()[-1]["scope"] == "file"


def test_a_small_gz_that_unpacks_to_too_much_is_dead_from_there_on() -> None:
    world = World()
    world.feed("bomb.gz", gz(b'{"a":1}\n' * 10_000))
    summary = world.run(max_object_bytes=8 * 100 + 3)
    assert summary.records_out == 100
    assert [entry["reason"].split(" (")[0] for entry in world.dead_entries()] == ["over 803 bytes unpacked"]
    assert world.queue.messages == {}


@pytest.mark.parametrize("size", [65_534, 65_535, 200_000])
def test_a_long_record_is_cut_at_characters(size: int) -> None:
    world = World()
    text = json.dumps("é€𝄞a" * (size // 10) + "x" * (size % 10), ensure_ascii=False)
    world.feed("long.json", lines(text, '{"b":2}'))
    summary = world.run()
    rows = [row for row in world.table.rows if row["Raw_Data"] != '{"b":2}']
    rows.sort(key=lambda row: row["Part"])
    assert "".join(row["Raw_Data"] for row in rows) == text
    assert all(len(row["Raw_Data"].encode()) <= 65_536 for row in rows)
    assert len({row["Record_Id"] for row in rows}) == 1
    assert [(row["Part"], row["Parts"]) for row in rows] == [(n, len(rows)) for n in range(1, len(rows) + 1)]
    assert (summary.records_out, summary.rows_out) == (2, len(rows) + 1)
    assert (len(rows) > 1) == (len(text.encode()) > 65_536)


def test_an_object_that_is_gone_settles_its_message_with_a_note() -> None:
    world = World()
    world.queue.put({"Bucket Name": "logs", "Object Key": "nowhere.json", "Event Time": ""})
    summary = world.run()
    assert (summary.files_gone, summary.messages_deleted, summary.records_in) == (1, 1, 0)
    assert "nowhere.json" in summary.notes[0]


def _s3_event(key: str, etag: str) -> dict[str, object]:
    entry = {"key": key, "eTag": etag, "sequencer": "0"}
    return {"Records": [{"eventName": "ObjectCreated:Put", "eventTime": "2025-10-31T12:00:00Z",
                         "s3": {"bucket": {"name": "logs"}, "object": entry}}]}  # fmt: skip


def test_a_changed_object_is_read_once_in_its_new_version() -> None:
    world = World()
    old = world.objects.put("a.json", b'{"v":1}\n')
    world.queue.put(_s3_event("a.json", old))
    new = world.objects.put("a.json", b'{"v":2}\n')
    world.queue.put(_s3_event("a.json", new))
    summary = world.run()
    assert world.texts() == ['{"v":2}']
    assert summary.files_repeated == 1
    assert any("changed" in note for note in summary.notes)


def test_what_may_not_be_read_makes_its_message_dead() -> None:
    world = World()
    world.objects.denied = {"secret.json"}
    name = world.feed("secret.json", b"{}")
    summary = world.run()
    (letter,) = world.dead_messages()
    assert letter["reason"].startswith("access denied")
    assert letter["message_id"] == name
    assert json.loads(letter["body"])["Object Key"] == "secret.json"
    assert (summary.messages_dead, summary.records_in, summary.records_dead) == (1, 1, 1)
    assert world.queue.messages == {}


UNKNOWN = ["", "no JSON", "{}", "[]", "3", '{"Records": 3}', '{"Records": [{}]}', "\0" * 300, '{"Bucket Name": "b"}',
           '{"Bucket Name": 1, "Object Key": "k"}', "[" * 100_000]  # fmt: skip


@pytest.mark.parametrize("body", UNKNOWN)
def test_an_unknown_message_is_dead_with_its_excerpt(body: str) -> None:
    world = World()
    world.queue.put(body)
    world.run()
    (letter,) = world.dead_messages()
    assert letter["reason"].startswith(("not JSON", "unknown form"))
    assert letter["body"] == body
    assert len(letter["excerpt"]) <= 200
    assert world.queue.messages == {}


def _corrupt_once(world: World, body: bytes) -> None:
    """The next read gives `body`, and says at its end that this is not what is stored."""
    opened = world.objects.open

    def corrupt(bucket: str, key: str, version: str | None) -> Any:
        found = opened(bucket, key, version)
        found._body, read = body, found.read

        def checked(size: int) -> bytes:
            if piece := read(size):
                return piece
            raise Corrupt(f"s3 get {bucket}/{key}: other bytes")

        found.read = checked  # type: ignore[method-assign]
        world.objects.open = opened  # type: ignore[method-assign]
        return found

    world.objects.open = corrupt  # type: ignore[method-assign]


@pytest.mark.parametrize("spoil", [lambda body: body[:500], lambda body: body[:300] + b"!" * 40 + body[340:]])
def test_a_healthy_object_that_arrives_damaged_is_no_dead_letter(spoil: Callable[[bytes], bytes]) -> None:
    texts = [json.dumps({"n": number}) for number in range(500)]
    world, body = World(), gz(lines(*texts))
    world.feed("a.gz", body)
    _corrupt_once(world, spoil(body))
    summary = world.run()
    assert (summary.files_failed, summary.records_out, world.dead_entries()) == (1, 0, [])
    world.later()
    assert world.run().records_out == 500
    assert sorted(world.texts()) == sorted(texts)
    assert world.dead_entries() == []


def test_rows_of_a_corrupt_read_are_all_sent_again() -> None:
    texts = [json.dumps({"n": number, "x": "x" * 200}) for number in range(12_000)]  # several uploads
    world, body = World(), lines(*texts)
    world.feed("a.json", body)
    _corrupt_once(world, body[:10] + b"?" * 30 + body[40:])  # the first record is none: all that follow count one less
    summary = world.run()
    assert (summary.records_out, summary.files_failed) == (0, 1)
    assert summary.rows_resent == len(world.table.rows) > 0
    world.later()
    assert world.run().records_out == 12_000
    assert set(world.texts()) == set(texts)
    assert len({row["Record_Id"] for row in world.table.rows}) == 12_000
    assert world.dead_entries() == []
