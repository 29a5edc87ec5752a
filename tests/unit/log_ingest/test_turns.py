"""Reads that hang: they hold up nobody else, and turns stay few while everything flows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.log_ingest import file_work, run
from core.log_ingest.turns import Turns
from tests.unit.log_ingest.world import MemoryObject, MemoryObjects, World, lines

LONG_S = 30


class Now:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_turn_is_waited_for_while_all_are_taken() -> None:
    turns, entered, go_on = Turns(2), threading.Semaphore(0), threading.Event()
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with turns.turn():
            inside.append(number)
            most.append(len(inside))
            entered.release()
            assert go_on.wait(LONG_S)
            inside.remove(number)

    with ThreadPoolExecutor(6) as pool:
        found = [pool.submit(work, number) for number in range(6)]
        assert entered.acquire(timeout=LONG_S)
        assert entered.acquire(timeout=LONG_S)
        go_on.set()
        for one in found:
            one.result(LONG_S)
    assert len(most) == 6
    assert max(most) == 2


def test_a_read_counts_until_it_has_hung_for_a_while() -> None:
    now = Now()
    turns, reading, bytes_come = Turns(1, patience_s=1, clock=now), threading.Event(), threading.Event()

    def hang(size: int) -> bytes:
        reading.set()
        assert bytes_come.wait(LONG_S)
        return b"x" * size

    def read() -> tuple[bytes, int]:
        with turns.turn():
            return turns.read(hang, 3), turns._working()

    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(read)
        assert reading.wait(LONG_S)
        assert turns._working() == 1
        now.seconds = 1.5
        assert turns._working() == 0
        with turns.turn():  # would never come if the hung one counted
            bytes_come.set()
            assert hung.result(LONG_S) == (b"xxx", 2)
    assert turns._working() == 0


class Hanging(MemoryObject):
    """Its first byte comes at once, the others only when they may."""

    until: threading.Event

    def read(self, size: int) -> bytes:
        if not self._at:
            return super().read(1)
        assert self.until.wait(LONG_S), "the other files never came in"
        return super().read(size)


class Store(MemoryObjects):
    def __init__(self, until: threading.Event) -> None:
        super().__init__()
        self._until = until

    def open(self, bucket: str, key: str, version: str | None) -> MemoryObject:
        found = super().open(bucket, key, version)
        if key.startswith("hung"):
            found.__class__, found.until = Hanging, self._until  # type: ignore[attr-defined]
        return found


@pytest.mark.parametrize("ahead", [1, 256 * 1024])
def test_reads_that_hang_keep_no_other_file_from_its_table(monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    """More of them than turns, before their turn (a small file) or in the middle of it (a big one)."""
    monkeypatch.setattr(file_work, "_AHEAD", ahead)
    monkeypatch.setattr(run, "Turns", lambda count: Turns(count, patience_s=0.05))
    others_are_in = threading.Event()
    world = World(objects=Store(others_are_in))
    for number in range(6):
        world.feed(f"hung-{number}", lines(f'{{"hung":{number}}}'))
    for number in range(20):
        world.feed(f"flows-{number}", lines(f'{{"flows":{number}}}'))

    def look(_: object) -> None:
        if sum("flows" in text for text in world.texts()) == 20:
            others_are_in.set()

    world.table.after = look
    summary = world.run(files_at_once=8)
    assert others_are_in.is_set()
    assert (summary.files_done, summary.records_out) == (26, 26)
