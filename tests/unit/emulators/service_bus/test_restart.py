"""What a broker finds again in its log after a restart or a kill."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.emulators.service_bus.broker.model import (
    DEAD_LETTER,
    Abandon,
    Complete,
    CorrelationFilter,
    DeadLetter,
    Defer,
    Envelope,
    Rule,
    SqlFilter,
)
from localcloud.emulators.service_bus.broker.options import QueueOptions
from localcloud.emulators.service_bus.codec.types import Symbol, ULong
from localcloud.emulators.service_bus.storage.journal import Journal
from tests.unit.emulators.service_bus.stage import Stage, settle


def reopened(stage: Stage, folder: Path, journal: Journal) -> tuple[Stage, Journal]:
    journal.close()
    again = Journal(folder, segment_bytes=500)
    fresh = Stage(again)
    fresh.now = stage.now
    return fresh, again


def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    stage = Stage(journal)
    stage.queue(max_delivery_count=5, requires_duplicate_detection=True)
    stage.queue("sessions", requires_session=True)
    stage.topic()
    stage.subscription(default_ttl_s=90.0, forward_dead_letters_to="q")
    stage.broker.add_rule("t/subscriptions/s", Rule("r", SqlFilter("a > @p", {"@p": 3}), "SET b = 1"))
    stage.broker.add_rule("t/subscriptions/s", Rule("c", CorrelationFilter(label="x", properties={"k": 2.5})))
    stage.queue("gone")
    stage.send("gone", "x")
    stage.broker.delete("gone")
    stage.send("q", "a", "b", "c", "d", "e")
    first, second, third, fourth = stage.receiver("q").take(4)
    settle(stage, first, Complete())
    settle(stage, second, Abandon({"n": 1}))
    settle(stage, third, Defer())
    settle(stage, fourth, DeadLetter("bad", "why"))
    stage.send("sessions", "s", session_id="one")
    stage.receiver("sessions", session="one")
    stage.broker.set_session_state("sessions", "one", b"state")
    stage.send("t", "match", subject="x", application_properties={"a": 4, "k": 2.5})

    before = [(node.path, node.options) for node in stage.broker.nodes()]
    stage, journal = reopened(stage, tmp_path, journal)
    assert [(node.path, node.options) for node in stage.broker.nodes()] == before
    found = {each.sequence: each for each in stage.broker.peek("q", 0, 10)}
    assert sorted(found) == [2, 3, 5]
    assert (found[2].delivery_count, found[2].envelope.application_properties) == (1, {"n": 1})
    assert stage.broker.peek(f"q/{DEAD_LETTER}", 0, 10)[0].dead_letter_description == "why"
    assert [rule.name for rule in stage.broker.rules("t/subscriptions/s")] == ["$Default", "r", "c"]
    assert len(stage.names("t/subscriptions/s")) == 2
    assert stage.send("q", "a") == [0]
    stage.send("t", "again", subject="x", application_properties={"a": 4, "k": 2.5})
    assert len(stage.names("t/subscriptions/s")) == 4
    stage.receiver("sessions", session="one")
    assert stage.broker.get_session_state("sessions", "one") == b"state"
    assert len(stage.broker.receive_deferred("q", [3], "peek_lock")) == 1
    assert stage.send("q", "new") == [6]
    journal.close()


def test_a_message_with_the_codec_s_own_kinds_of_text_is_kept(tmp_path: Path) -> None:
    """A content type is a symbol: one such message must not end the log."""
    journal = Journal(tmp_path)
    stage = Stage(journal)
    stage.broker.create_queue("q", QueueOptions())
    stage.broker.send("q", [Envelope(b"", content_type=Symbol("application/json"), message_id=ULong(7))])
    stage.broker.send("q", [Envelope(b"")])
    stage, journal = reopened(stage, tmp_path, journal)
    first, second = stage.broker.peek("q", 0, 10)
    assert (first.envelope.content_type, first.envelope.message_id) == ("application/json", 7)
    assert second.envelope.content_type is None
    journal.close()


def test_numbers_are_never_given_twice_though_every_message_is_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=500)
    stage = Stage(journal)
    stage.queue()
    last = 0
    for _ in range(200):
        [last] = stage.send("q", "a")
        settle(stage, stage.receiver("q").one(), Complete())
        journal.flush()
    stage, journal = reopened(stage, tmp_path, journal)
    assert stage.send("q", "a") == [last + 1]
    stage.broker.update("q", QueueOptions(max_delivery_count=7))
    stage, journal = reopened(stage, tmp_path, journal)
    assert stage.broker.nodes()[0].max_delivery_count == 7
    journal.close()


def test_a_topic_whose_record_moved_behind_its_subscriptions_is_there_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=500)
    stage = Stage(journal)
    stage.topic(requires_duplicate_detection=True, duplicate_window_s=7 * 86400.0)
    stage.queue("sessions", requires_session=True)
    stage.send("sessions", "a", session_id="s")
    stage.receiver("sessions", session="s")
    stage.broker.set_session_state("sessions", "s", b"state")
    stage.send("t", "first")
    stage.queue()

    def write_and_forget(times: int) -> None:
        for _ in range(times):
            stage.send("q", "x" * 100)
            settle(stage, stage.receiver("q").one(), Complete())
            journal.flush()

    segments: list[Path] = []
    for _ in range(60):
        write_and_forget(3)
        if not stage.broker.namespace.topic("t").subscriptions and len(segments) > 20:
            stage.subscription()
        segments.append(min(tmp_path.glob("*.log")))
        stage, journal = reopened(stage, tmp_path, journal)
        assert stage.send("t", "first") == [0]
        stage.receiver("sessions", session="s")
        assert stage.broker.get_session_state("sessions", "s") == b"state"
    assert len(set(segments)) > 3
    assert stage.names("sessions") == ["a"]
    journal.close()


def test_receive_and_delete_on_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    stage = Stage(journal)
    stage.queue()
    stage.send("q", "a")
    journal.flush()
    receiving = stage.receiver("q", "receive_and_delete")
    real = os.write

    def full(_file: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        receiving.link.credit(1)
    assert receiving.deliveries == []
    monkeypatch.setattr(os, "write", real)
    receiving.link.close()
    stage, journal = reopened(stage, tmp_path, journal)
    assert stage.names("q") == ["a"]
    journal.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from localcloud.emulators.service_bus.broker.model import Envelope
from localcloud.emulators.service_bus.broker.options import QueueOptions
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.codec.types import Symbol, ULong
from localcloud.emulators.service_bus.storage.journal import Journal

async def main():
    service = Service(log=Journal(Path(sys.argv[1])))
    service.create_queue("q", QueueOptions())
    number = 0
    while True:
        number += 1
        service.send("q", [Envelope(b"%d" % number, message_id=str(number))])
        assert service.durable() is None
        await asyncio.sleep(0)
        print(number, flush=True)

asyncio.run(main())
"""


def test_what_was_told_survives_sigkill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(300)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    journal = Journal(tmp_path)
    stage = Stage(journal)
    sequences = [int(each.envelope.raw) for each in stage.broker.peek("q", 0, 1_000_000)]
    assert sequences == list(range(1, len(sequences) + 1))
    assert len(sequences) >= told[-1]
    journal.close()
