"""The codec of the database's door: how a connection begins, how it is refused, and the SCRAM exchange of RFC 7677."""

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.emulators.postgres import wire
from localcloud.emulators.postgres.scram import Scram, ScramError

WORDS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=20)


async def _read_start(data: bytes) -> wire.Start:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await wire.read_start(reader)


async def _read_message(data: bytes, most: int) -> tuple[bytes, bytes]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await wire.read_message(reader, most)


@given(st.dictionaries(WORDS, WORDS, max_size=8))
def test_a_start_up_message_comes_back_as_it_was(parameters: dict[str, str]) -> None:
    start = asyncio.run(_read_start(wire.start_up(parameters)))
    assert (start.code, start.parameters) == (wire.VERSION, parameters)


def test_an_empty_value_is_a_value() -> None:
    start = asyncio.run(_read_start(wire.start_up({"user": "one", "options": ""})))
    assert start.parameters == {"user": "one", "options": ""}


@pytest.mark.parametrize("length", [0, 7, -1, wire.MAX_START_BYTES + 1, 1 << 30])
def test_a_length_that_cannot_be_is_refused(length: int) -> None:
    with pytest.raises(wire.ProtocolError):
        asyncio.run(_read_start(struct.pack("!ii", length, wire.VERSION) + b"x" * 100))


@pytest.mark.parametrize("cut", range(1, 12))
def test_half_a_packet_is_the_end(cut: int) -> None:
    with pytest.raises(EOFError):
        asyncio.run(_read_start(wire.start_up({"user": "a"})[:-cut]))


@pytest.mark.parametrize(
    "body", [b"user\0one\0odd\0\0", b"", b"user", b"user\0one", b"user\0one\0", b"user\0a\0\0user\0b\0\0", b"\0\0\0"]
)
def test_parameters_come_in_pairs_until_an_empty_name(body: bytes) -> None:
    with pytest.raises(wire.ProtocolError):
        _ = wire.Start(wire.VERSION, body).parameters


def test_a_message_longer_than_it_may_be_is_refused() -> None:
    assert asyncio.run(_read_message(wire.message(b"p", b"12345"), 5)) == (b"p", b"12345")
    with pytest.raises(wire.ProtocolError):
        asyncio.run(_read_message(wire.message(b"p", b"123456"), 5))


def test_a_refusal_has_postgresql_s_form() -> None:
    told = wire.fatal(wire.Refusal("28P01", "no", "why"))
    assert told == b"E" + struct.pack("!i", len(told) - 1) + b"SFATAL\0VFATAL\0C28P01\0Mno\0Dwhy\0\0"


def _example(monkeypatch: pytest.MonkeyPatch) -> Scram:
    """RFC 7677, section 3, but for the user's name, which PostgreSQL leaves empty."""
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: "rOprNGfwEbeRWgbNEkqO")
    return Scram("pencil")


CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


def test_a_sign_in_proves_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    scram = _example(monkeypatch)
    scram._first = "n=user,r=rOprNGfwEbeRWgbNEkqO"  # the RFC's
    assert scram.answer(CHALLENGE).endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("last", [b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", b"e=other-error", b"v="])
def test_a_server_that_does_not_know_the_password_is_found_out(monkeypatch: pytest.MonkeyPatch, last: bytes) -> None:
    scram = _example(monkeypatch)
    scram.answer(CHALLENGE)
    with pytest.raises(ScramError):
        scram.check(last)


def test_a_challenge_for_somebody_else_is_refused() -> None:
    with pytest.raises(ScramError, match="nonce"):
        Scram("pencil").answer(CHALLENGE)
