"""Whatever a failed line holds, logs, summary, progress and dead letters show at most its first 200 bytes, escaped."""

from __future__ import annotations

import json
import logging

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.log_ingest.world import World, gz

CANARY = "CANARY-7f3a"
NASTY = [
    *(b"\n", b"\r", b"\x1b[31mred", b"\x1b]0;title\x07", b"\x00", b"\x7f", b"\xff\xfe", b'"', b"\\", b"{", b"["),
    *("\u202e".encode(), "\u2028".encode(), "\U0001f600".encode(), b"Bearer eyJhbGciOi", b"%s%n", b"${x}"),
    b'{"level":"error","event":"forged"}',
]
pieces = st.lists(st.sampled_from(NASTY) | st.binary(max_size=12), max_size=30).map(b"".join)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def shown(world: World, summary: object, said: pytest.LogCaptureFixture) -> bytes:
    """Everything a person may come to see without a right to the bucket or the table."""
    blobs = [*world.failed.blobs.items(), *world.progress.blobs.items()]
    told = [name.encode() + blob.body for name, blob in blobs]
    told += [record.getMessage().encode("utf-8", "surrogatepass") for record in said.records]
    return b"\n".join([*told, msgspec.json.encode(summary)])


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(start=pieces, end=pieces, packed=st.booleans(), form=st.sampled_from(["line", "array", "object", "long"]))
def test_a_failed_line_is_an_escaped_excerpt(
    said: pytest.LogCaptureFixture, start: bytes, end: bytes, packed: bool, form: str
) -> None:
    said.clear()
    # Behind 200 bytes of itself: no excerpt reaches it. A line break in front would make it a line of its own.
    tail = b"x" * 200 + CANARY.encode() + end.replace(b"\n", b" ").replace(b"\r", b" ")
    line = b"<not json> " + start.replace(b"\n", b" ").replace(b"\r", b" ") + tail
    body = {
        "line": b'{"good": 1}\n' + line + b'\n{"good": 2}\n',
        "array": b'[{"good": 1}, ' + line + b"]",
        "object": b'{"a": "' + tail + b"\n",
        "long": b'{"a": ' + b"[" * 1100 + tail + b"\n",
    }[form]
    world = World()
    world.feed("in/file.json.gz" if packed else "in/file.json", gz(body) if packed else body)
    summary = world.run()
    seen = shown(world, summary, said)
    assert CANARY.encode() not in seen
    assert len(world.dead_entries()) >= 1
    for entry in world.dead_entries():
        assert len(entry.get("excerpt", "")) <= 200
        assert entry.get("excerpt", "").isascii()
        assert entry.get("excerpt", "").isprintable()
        assert len(entry["reason"]) <= 200


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(start=pieces, end=pieces)
def test_a_message_that_nobody_understands_is_an_escaped_excerpt(
    said: pytest.LogCaptureFixture, start: bytes, end: bytes
) -> None:
    said.clear()
    world = World()
    world.queue.put((start + b"y" * 200 + CANARY.encode() + end).decode("utf-8", "replace"))
    summary = world.run()
    for record in said.records:
        text = record.getMessage()
        assert CANARY not in text
        assert json.loads(text)
        assert "\n" not in text
        assert "\x1b" not in text
    for letter in world.dead_messages():
        assert len(letter["excerpt"]) <= 200
        assert CANARY not in letter["reason"]
    assert CANARY.encode() not in msgspec.json.encode(summary)
