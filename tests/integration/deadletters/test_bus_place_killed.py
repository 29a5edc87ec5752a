"""Sending back what is dead in Service Bus, ended between any two steps: nothing lost, nothing doubled unsaid."""

from typing import Any

import pytest
from azure.servicebus import ServiceBusReceiver, ServiceBusSender

from localcloud.deadletters.bus_journal import BusJournal
from tests.integration.deadletters.bus_letters import Command, Killed, bury, text
from tests.integration.emulators.bus_clients import Buses

POINTS = {
    "noted": (BusJournal, "begin", False),
    "sent": (ServiceBusSender, "send_messages", True),
    "noted that it was sent": (BusJournal, "sent", True),
    "completed": (ServiceBusReceiver, "complete_message", True),
}
"""The command is killed after this was done, the second also before it is noted."""


def killed_after(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    owner, name, _ = POINTS[point]
    real = getattr(owner, name)

    def then(self: Any, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        raise Killed

    monkeypatch.setattr(owner, name, then)


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_is_neither_lost_nor_doubled(
    buses: Buses, command: Command, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    queue = f"killed-{point.replace(' ', '-')}"
    buses.put("Queue", queueName=queue)
    bury(buses, queue, *(text(str(number), message_id=f"{queue}-{number}") for number in range(5)))
    with monkeypatch.context() as patched, command(queue) as opened:
        killed_after(patched, point)
        with pytest.raises(Killed):
            opened.redrive()
        assert opened.journal.left(opened.only.name)
    buses.local.do(buses.local.cloud.buses.release)  # the dead command's locks, which would run out
    with command(queue) as opened:
        left = opened.redrive()
        assert (left > 0) is not POINTS[point][2]
    with command(queue) as opened:
        assert opened.places == []
    assert sorted(buses.bodies(queue)) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("duplicates", [False, True])
def test_a_copy_that_was_worked_on_meanwhile_comes_again_unless_duplicates_are_detected(
    buses: Buses, command: Command, monkeypatch: pytest.MonkeyPatch, duplicates: bool
) -> None:
    """What remains, and is said: killed between the service's answer and our note, and the copy is gone by then."""
    queue = f"gone-{duplicates}".lower()
    buses.put("Queue", queueName=queue, requiresDuplicateDetection=duplicates)
    bury(buses, queue, text("x"))
    with monkeypatch.context() as patched, command(queue) as opened:
        killed_after(patched, "sent")
        with pytest.raises(Killed):
            opened.redrive()
    buses.local.do(buses.local.cloud.buses.release)
    assert buses.bodies(queue) == ["x"]
    with command(queue) as opened:
        assert opened.redrive() == 1
    assert buses.bodies(queue) == ([] if duplicates else ["x"])


def test_a_copy_within_the_window_of_its_own_letter_is_not_taken_for_it(buses: Buses, command: Command) -> None:
    """The service still remembers the id: with it, the copy would be dropped and the letter lost."""
    buses.put("Queue", queueName="remembers", requiresDuplicateDetection=True)
    bury(buses, "remembers", text("x", message_id="m"))
    with command("remembers") as opened:
        opened.redrive()
    with buses.receiver("remembers") as receiver:
        (got,) = receiver.receive_messages(1, max_wait_time=10)
        receiver.complete_message(got)
    assert str(got.message_id).startswith("m/redrive-")


def test_a_letter_with_the_number_of_another_that_is_gone_is_not_taken_for_it(
    buses: Buses, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = buses.put("Queue", queueName="anew").id
    bury(buses, "anew", text("first"))
    with monkeypatch.context() as patched, command("anew") as opened:
        killed_after(patched, "noted that it was sent")
        with pytest.raises(Killed):
            opened.redrive()
    buses.remove("Queue", id_)
    buses.put("Queue", queueName="anew")
    bury(buses, "anew", text("second"))
    with command("anew") as opened:
        assert [one.excerpt for one in opened.entries()] == ["second"]
        assert opened.redrive() == 1
    assert buses.bodies("anew") == ["second"]
