"""Bytes of an object → UTF-8 text, as a stream: gz by its magic, any number of members, byte order marks, UTF-16.

Memory: one piece. What cannot be read any further raises Damaged after everything before it was yielded.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable, Iterator
from typing import Any

fast: Any
try:
    from isal import isal_zlib as fast
except ImportError:  # no wheel for the platform: the standard library does the same, slower
    fast = None

_PIECE = 1024 * 1024
_PACKED_PIECE = 64 * 1024
_SMALL = 512 * 1024  # packed bytes: such a gz is kept whole while it is unpacked
_GZ = b"\x1f\x8b"
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with theirs
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)


class Damaged(Exception):  # noqa: N818 - it is the file that is damaged
    """The file is dead from here on; the text is the reason."""


def unpacked(read: Callable[[int], bytes], limit: int) -> Iterator[bytes]:
    """The object's content, decompressed when it is gz. Raises Damaged, also over `limit` unpacked bytes."""
    total = 0
    for piece in _plain(read):
        if total + len(piece) > limit:
            yield piece[: limit - total]
            raise Damaged(f"over {limit:,} bytes unpacked (max_object_mb)")
        total += len(piece)
        if piece:
            yield piece


def _plain(read: Callable[[int], bytes]) -> Iterator[bytes]:
    head = read(_PACKED_PIECE)
    while len(head) < 2 and (more := read(_PACKED_PIECE)):
        head += more
    if head[:2] == _GZ:
        yield from _inflated(head, read)
        return
    while head:
        yield head
        head = read(_PIECE)


def _inflated(head: bytes, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """A small object fast; should anything be wrong with it, once more and with care, for what was not given yet."""
    while len(head) < _SMALL and (more := read(_SMALL - len(head))):
        head += more
    given = 0
    if len(head) < _SMALL and fast is not None:
        try:
            for piece in _members(head, _nothing_more, fast):
                given += len(piece)
                yield piece
        except (fast.error, Damaged):
            pass
        else:
            return
    for piece in _members(head, read):
        fresh = piece[given:]
        given = max(0, given - len(piece))
        if fresh:
            yield fresh


def _nothing_more(size: int) -> bytes:  # noqa: ARG001 - it stands in for a read
    return b""


def _members(piece: bytes, read: Callable[[int], bytes], library: Any = zlib) -> Iterator[bytes]:
    """Decompresses gz members one after another; zero bytes may pad them (as tape and block devices do)."""
    inflate = library.decompressobj(wbits=31)
    begun = False
    while True:
        while piece:
            if not begun:
                piece = piece.lstrip(b"\0")
                if not piece:
                    break
                begun = True
            # to find what stands before the damage, should there be any
            safe = inflate.copy() if library is zlib else None
            try:
                out = inflate.decompress(piece, _PIECE)
            except zlib.error as error:
                yield from _before_damage(safe, piece)
                raise Damaged(f"corrupt gz ({error})") from error
            yield out
            if inflate.eof:
                piece, inflate, begun = inflate.unused_data, library.decompressobj(wbits=31), False
            else:
                piece = inflate.unconsumed_tail
        piece = read(_PACKED_PIECE)
        if not piece:
            break
    if begun:
        yield inflate.flush()
        raise Damaged("truncated gz")


def _before_damage(inflate: Any, piece: bytes) -> Iterator[bytes]:
    """What the bytes before the damaged one give: the part that holds it is halved until it stands alone."""
    while piece:
        part, before = piece[: (len(piece) + 1) // 2], inflate.copy()
        try:
            out = inflate.decompress(part, _PIECE)
        except zlib.error:
            if len(part) == 1:
                return
            inflate, piece = before, part
            continue
        yield out
        piece = inflate.unconsumed_tail + piece[len(part) :]
        if len(out) == _PIECE and not inflate.unconsumed_tail:
            yield inflate.decompress(b"", _PIECE)  # what there was no room for


def utf8(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same text in UTF-8 without its byte order mark. Raises Damaged for text that is UTF-16 without a mark."""
    head = b""
    damage: Damaged | None = None
    try:
        for piece in pieces:
            head += piece
            if len(head) >= 4:
                break
    except Damaged as caught:
        damage = caught
    name, head = _encoding(head)
    if name != "utf-8":
        yield from _decoded(head, pieces, damage, name)
        return
    if head:
        yield head
    if damage is not None:
        raise damage
    yield from pieces


def _encoding(head: bytes) -> tuple[str, bytes]:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, head[len(mark) :]
    zeros = tuple(byte == 0 for byte in head[:4])
    if zeros in {
        (False, True, False, True),
        (True, False, True, False),
        (False, True, True, True),
        (True, True, True, False),
    }:
        raise Damaged("not UTF-8 (looks like UTF-16 or UTF-32 without a byte order mark)")
    return "utf-8", head


def _decoded(head: bytes, pieces: Iterator[bytes], damage: Damaged | None, name: str) -> Iterator[bytes]:
    """Lone surrogates pass as bytes that are no UTF-8: their line is dead, not the file."""
    decoder = codecs.getincrementaldecoder(name)("surrogatepass")
    try:
        yield decoder.decode(head).encode("utf-8", "surrogatepass")
        if damage is not None:
            raise damage
        for piece in pieces:
            yield decoder.decode(piece).encode("utf-8", "surrogatepass")
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Damaged(f"broken {name.upper()[:6]}: {error.reason}") from error
