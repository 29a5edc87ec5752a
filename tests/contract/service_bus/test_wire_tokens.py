"""Tokens over `$cbs`, frame by frame."""

import time

import pytest

from localcloud.emulators.service_bus.codec import frames, message
from localcloud.emulators.service_bus.server import Server
from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.raw import Raw, body, signature
from tests.contract.service_bus.wire import ACCEPTED, condition


def test_a_token_opens_what_it_is_for(bus: Bus, raw: Raw) -> None:
    queue = bus.queue()
    raw.secure()
    raw.header()
    raw.open()
    raw.begin()
    audience = f"amqp://localhost/{queue}"
    kind = "servicebus.windows.net:sastoken"
    assert raw.put_token(signature(audience), audience, kind) == {"status-code": 202, "status-description": "Accepted"}
    raw.sender(queue, 5)
    raw.transfer(5, 1, body())
    assert raw.frame(frames.DISPOSITION).fields[4] == ACCEPTED


@pytest.mark.parametrize(
    ("token", "audience", "kind", "code", "says"),
    [
        ("SharedAccessSignature sr=x", "sb://h/q", "servicebus.windows.net:sastoken", 401, "MalformedToken"),
        (signature("sb://h/q", key="other"), "sb://h/q", "servicebus.windows.net:sastoken", 401, "InvalidSignature"),
        (signature("sb://h/q", ends=1), "sb://h/q", "servicebus.windows.net:sastoken", 401, "ExpiredToken"),
        (signature("sb://h/q"), "sb://h/qq", "servicebus.windows.net:sastoken", 401, "InvalidAudience"),
        ("ey.x.y", "sb://h/q", "jwt", 401, "not known"),
        ("x", "sb://h/q", "amqp:other", 401, "UnsupportedToken"),
        ("", "", "", 401, "UnsupportedToken"),
    ],
)
def test_a_token_that_is_none_is_refused_with_its_reason(
    raw: Raw, token: str, audience: str, kind: str, code: int, says: str
) -> None:
    raw.secure()
    raw.header()
    raw.open()
    raw.begin()
    answer = raw.put_token(token, audience, kind)
    assert answer["status-code"] == code
    assert says in answer["status-description"]


def test_a_token_that_ends_takes_its_links_along(bus: Bus) -> None:
    queue, ahead = bus.queue(), [0.0]
    server: Server = bus.call(lambda: Server(bus.service, clock=lambda: time.time() + ahead[0]))
    audience, kind = f"sb://h/{queue}", "servicebus.windows.net:sastoken"
    with Raw(bus.run(server.listen(("127.0.0.1", 0)))) as raw:
        raw.secure()
        raw.header()
        raw.open()
        raw.begin()
        raw.put_token(signature(audience, ends=time.time() + 100), audience, kind)
        raw.receiver(queue, 6)
        raw.flow(6, 10)
        raw.sender(queue, 5)
        raw.transfer(5, 1, body())
        assert raw.frame(frames.TRANSFER, frames.DISPOSITION)
        ahead[0] = 101.0
        raw.transfer(5, 2, body())
        detach = raw.frame(frames.DETACH).fields
        assert (detach[0], condition(detach[2])) == (5, "amqp:unauthorized-access")
        with Raw(bus.port) as other:
            other.start().sender(queue)
            other.transfer(0, 0, body(b"for the next receiver"))
            other.frame(frames.DISPOSITION)
        detach = raw.frame(frames.DETACH).fields
        assert (detach[0], condition(detach[2])) == (6, "amqp:unauthorized-access")
    bus.run(server.close())
    with Raw(bus.port) as raw:
        raw.start().receiver(queue)
        raw.flow(1, 1)
        assert message.read(raw.frame(frames.TRANSFER).payload).header[4] == 0  # given back uncounted


def test_a_token_is_put_anew_before_it_ends(bus: Bus) -> None:
    queue, ahead = bus.queue(), [0.0]
    server: Server = bus.call(lambda: Server(bus.service, clock=lambda: time.time() + ahead[0]))
    audience, kind = f"sb://h/{queue}", "servicebus.windows.net:sastoken"
    with Raw(bus.run(server.listen(("127.0.0.1", 0)))) as raw:
        raw.secure()
        raw.header()
        raw.open()
        raw.begin()
        raw.put_token(signature(audience, ends=time.time() + 100), audience, kind)
        raw.sender(queue, 5)
        raw.put_token(signature(audience, ends=time.time() + 200), audience, kind)
        ahead[0] = 101.0
        raw.transfer(5, 1, body())
        assert raw.frame(frames.DISPOSITION).fields[4] == ACCEPTED
    bus.run(server.close())


def test_a_token_beyond_all_measure_is_rejected(raw: Raw) -> None:
    raw.secure()
    raw.header()
    raw.open()
    raw.begin()
    raw.sender("$cbs", 100)
    for _ in range(10):
        raw.transfer(100, 0, b"x" * 30_000, more=True)
    raw.transfer(100, 0, b"x")
    _, fields = frames.described(raw.frame(frames.DISPOSITION).fields[4])
    assert condition(fields[0]) == "amqp:link:message-size-exceeded"
