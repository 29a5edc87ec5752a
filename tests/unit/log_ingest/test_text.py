"""Unpacking: the fast way and the careful one give the same bytes and the same verdict, whatever is wrong."""

from __future__ import annotations

import gzip
import io
import random
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.log_ingest import text
from core.log_ingest.text import Damaged, unpacked

_SEEDED = random.Random(7)
_BODY = b"".join(b'{"n":%d,"x":"%s"}\n' % (number, _SEEDED.randbytes(9).hex().encode()) for number in range(9_000))
_PACKED = gzip.compress(_BODY, mtime=0)
assert len(_PACKED) < text._SMALL


def _read(packed: bytes, limit: int = 10**9) -> tuple[bytes, str]:
    got = b""
    try:
        for piece in unpacked(io.BytesIO(packed).read, limit):
            got += piece
    except Damaged as damage:
        return got, str(damage)
    return got, ""


def _carefully(packed: bytes, limit: int = 10**9) -> tuple[bytes, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "fast", None)
        return _read(packed, limit)


def _lines(read: tuple[bytes, str]) -> tuple[bytes, str]:
    """Whole lines and the verdict: where damage is noticed may differ by bytes, in a line that is dead either way."""
    got, verdict = read
    return got[: got.rfind(b"\n") + 1], verdict


@given(st.integers(0, len(_PACKED) - 1), st.binary(min_size=1, max_size=4))
@settings(max_examples=60)
def test_damage(at: int, instead: bytes) -> None:
    damaged = _PACKED[:at] + instead + _PACKED[at + len(instead) :]
    assert _lines(_read(damaged)) == _lines(_carefully(damaged))


def test_damage_within_what_unpacks_to_a_thousand_times_as_much() -> None:
    body = bytes(20 * 1024 * 1024)
    packed = gzip.compress(body)
    damaged = packed[:-200] + b"\xff" * 100 + packed[-100:]
    pieces: list[bytes] = []
    with pytest.raises(Damaged, match="corrupt gz"):
        pieces.extend(unpacked(io.BytesIO(damaged).read, 1 << 30))
    assert max(map(len, pieces)) <= 1024 * 1024
    got = b"".join(pieces)
    assert len(body) // 2 < len(got) < len(body)
    assert body.startswith(got)


_AFTER = {
    "nothing": b"",
    "zeros": bytes(600),
    "garbage": b"garbage",
    "a member": _PACKED,
    "half a member": _PACKED[:99],
}


@given(st.integers(0, len(_PACKED)), st.sampled_from(sorted(_AFTER)))
@example(48, "garbage")
@settings(max_examples=40)
def test_truncation_and_what_follows(cut: int, after: str) -> None:
    for packed in (_PACKED[:cut] + _AFTER[after], _PACKED + _AFTER[after]):
        assert _lines(_read(packed)) == _lines(_carefully(packed))


def test_a_sound_file_is_read_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert text.fast is not None
    monkeypatch.setattr(zlib, "decompressobj", None)  # would fail
    assert _read(_PACKED * 2) == (_BODY * 2, "")


def test_a_bomb_is_streamed_up_to_the_limit() -> None:
    bomb = gzip.compress(bytes(80_000_000), mtime=0)
    assert len(bomb) < text._SMALL
    got, reason = _read(bomb, 1_000_000)
    assert len(got) == 1_000_000
    assert reason.startswith("over 1,000,000 bytes")
