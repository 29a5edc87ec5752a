"""A slice of `./millrace chaos service_bus`: real processes and connections; and that the campaign sees a broker that
forgets.
"""

import shutil
import sys

import pytest

from localcloud.session.chaos import schedules_of
from localcloud.session.chaos_bus.broker import Broker
from localcloud.session.chaos_bus.campaign import SYSTEM, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts on SIGKILL and on resets of connections")
SCHEDULES = {one.name: one for one in schedules_of(SYSTEM)}


@pytest.mark.parametrize(("name", "fired"), [
    ("broker-killed-while-sending", {"kill broker"}),
    ("broker-killed-while-completing", {"kill broker"}),
    ("connections-cut", {"cut"}),
    ("frames-torn", {"cut"}),
    ("storm", {"cut", "kill broker", "kill client"}),
])  # fmt: skip
def test_nothing_is_lost_comes_back_or_overtakes(name: str, fired: set[str]) -> None:
    report = run(SCHEDULES[name], 1)
    assert report.wrong == []
    assert report.fired.keys() == fired
    assert report.counts["acknowledged"] > 200
    assert report.counts["completed"] > 100
    assert report.replay == f"./millrace chaos service_bus --schedule {name} --seed 1 --runs 1"


def test_a_broker_that_comes_back_empty_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Broker.start

    async def forgetful(self: Broker) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        await start(self)

    monkeypatch.setattr(Broker, "start", forgetful)
    report = run(SCHEDULES["broker-killed-while-completing"], 1)
    assert report.counts["lost"] > 0
    assert any(text.startswith("lost: ") for text in report.wrong)
