"""Redrives of an SQS dead-letter queue: by filter, interrupted on either side, counted from outside."""

import json
import random
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from localcloud.deadletters.entry import Entry
from localcloud.deadletters.place import Pace
from localcloud.deadletters.sqs_place import LOOK_S
from tests.integration.deadletters.move_task import store_of
from tests.integration.deadletters.redrive_sqs import client_of, place_of
from tests.integration.deadletters.zygote import Victims
from tests.integration.emulators.local import Local


class Pair:
    """A queue with its dead-letter queue, and the job that works on them."""

    def __init__(self, local: Local, folder: Path) -> None:
        aws, name = local.cloud.aws, f"q-{uuid.uuid4().hex[:8]}"
        self.sqs, self._local = local.vendor("sqs"), local
        self.dead, dead_arn = local.do(lambda: aws.put_queue(f"{name}-dead", {"VisibilityTimeout": "0"}))
        policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
        self.url, arn = local.do(lambda: aws.put_queue(name, {"RedrivePolicy": policy, "VisibilityTimeout": "0"}))
        key, secret = local.do(aws.vendor_keys)
        self.job: dict[str, Any] = {
            "sqs": local.cloud.endpoints["sqs"], "ca": local.ca, "key": key, "secret": secret, "url": self.dead,
            "source": arn, "holds": str(folder / "held"), "dies_at": -1, "rate": 0,
        }  # fmt: skip
        self.place = place_of(self.job, client_of(self.job))

    def kill(self, *bodies: str) -> None:
        """Messages that were received too often, as their consumer would have it."""
        for at in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[at : at + 10])]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
        name = self.url.rsplit("/", 1)[-1]
        while self._local.do(lambda: sum(self._local.cloud.aws.sqs.store.counts(name))):
            self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)

    def take(self, url: str) -> list[str]:
        """Everything visible, settled."""
        found: list[str] = []
        while got := self.sqs.receive_message(QueueUrl=url, VisibilityTimeout=60, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            found += [message["Body"] for message in got]
            for message in got:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return sorted(found)


@pytest.fixture
def pair(local: Local, tmp_path: Path) -> Pair:
    return Pair(local, tmp_path)


def named(entries: list[Entry], *excerpts: str) -> list[Entry]:
    return [entry for entry in entries if entry.excerpt in excerpts]


def test_looking_changes_nothing_but_the_receive_count(pair: Pair) -> None:
    pair.kill("a", "b", "c")
    first, again = pair.place.entries(), pair.place.entries()
    assert sorted(entry.excerpt for entry in first) == ["a", "b", "c"]
    assert [entry.id for entry in first] == [entry.id for entry in again]
    (entry,) = named(first, "a")
    assert (entry.kind, entry.attempts, entry.size, entry.reason) == (
        "sqs", 1, 1, "received 1 times and never settled",
    )  # fmt: skip
    assert pair.place.hidden() == 0


def test_only_what_was_chosen_moves_and_only_what_was_chosen_is_dropped(pair: Pair) -> None:
    pair.kill(*(f"{letter}{n}" for n in range(15) for letter in "wx"))
    told: list[int] = []
    entries = pair.place.entries()
    pair.place.redrive([entry for entry in entries if entry.excerpt.startswith("w")], Pace(), told.append)
    assert sum(told) == 15
    assert pair.take(pair.url) == sorted(f"w{n}" for n in range(15))
    pair.place.drop(named(pair.place.entries(), "x1", "x3"), Pace(), told.append)
    assert sum(told) == 17
    assert pair.take(pair.dead) == sorted(f"x{n}" for n in range(15) if n not in {1, 3})


def test_a_rate_is_kept(pair: Pair) -> None:
    pair.kill("a", "b", "c", "d")
    began = time.monotonic()
    pair.place.redrive(pair.place.entries(), Pace(4), lambda _: None)
    assert time.monotonic() - began >= 0.7
    assert pair.take(pair.url) == ["a", "b", "c", "d"]


def test_ctrl_c_stops_the_move_and_frees_what_was_held(pair: Pair) -> None:
    pair.kill(*(f"w{n}" for n in range(10)), "x")
    entries = [entry for entry in pair.place.entries() if entry.excerpt != "x"]

    def stop(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pair.place.redrive(entries, Pace(10), stop)
    back = pair.take(pair.url)
    assert 0 < len(back) < 10
    assert pair.place.hidden() == 0
    assert sorted(back + pair.take(pair.dead)) == sorted(["x", *(f"w{n}" for n in range(10))])


def test_the_command_killed_at_any_step_loses_and_doubles_nothing(local: Local, pair: Pair) -> None:
    """Twenty steps are about what one command takes."""
    random_, killed, sent, back = random.Random(3), 0, list[str](), list[str]()
    pair.kill(*(f"x{n}" for n in range(12)))
    with Victims("redrive_sqs") as victims:
        while killed < 52:
            new = [f"w{len(sent) + n}" for n in range(random_.randint(0, 15))]
            pair.kill(*new)
            sent += new
            job = {**pair.job, "dies_at": random_.randint(1, 40), "rate": random_.choice([0, 100])}
            killed += victims.run(job)
            if random_.random() < 0.5:
                back += pair.take(pair.url)
        local.clock.ahead_s += (
            10 * LOOK_S
        )  # a command killed before it noted what it had received: that comes back late
        assert not victims.run(pair.job)
    back += pair.take(pair.url)
    assert sorted(back) == sorted(sent)
    assert pair.place.hidden() == 0
    assert pair.take(pair.dead) == sorted(f"x{n}" for n in range(12))
    assert len(sent) > 100


def test_sqs_itself_killed_at_any_moment_moves_each_once(tmp_path: Path) -> None:
    file, count, random_, killed = tmp_path / "sqs.sqlite", 6_000, random.Random(5), 0
    store = store_of(file)
    store.send("main", [(str(n), {}, 0) for n in range(count)], "sender")
    while sum(store.counts("main")):
        store.receive("main", 1_000, 0)
    store.close()
    with Victims("move_task") as victims:
        while killed < 50:
            killed += victims.run({"file": str(file), "rate": 500}, kill_after_s=random_.uniform(0.005, 0.08))
        with sqlite3.connect(file) as db:
            (part,) = db.execute("select count(*) from messages where queue = 'main'").fetchone()
            db.execute("update moves set rate = null")
        assert 0 < part < count, "killed too late or too early to show anything"
        assert not victims.run({"file": str(file), "rate": 500})
    with sqlite3.connect(file) as db:
        rows = db.execute("select queue, body, receives from messages").fetchall()
        (task,) = db.execute("select status, moved, to_move from moves").fetchall()
    assert sorted(rows) == sorted(("main", str(n), 0) for n in range(count))
    assert task == ("COMPLETED", count, count)
