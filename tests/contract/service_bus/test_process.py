"""The emulator as a process: it starts, keeps what it has acknowledged, and says what is wrong."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from localcloud.emulators.service_bus.codec import frames, message
from tests.contract.service_bus.raw import Raw, body, signature

CONFIG = {
    "UserConfig": {
        "Namespaces": [
            {
                "Name": "sbemulatorns",
                "Queues": [{"Name": "queue.1", "Properties": {"LockDuration": "PT1M", "MaxDeliveryCount": 3}}],
                "Topics": [{"Name": "topic.1", "Subscriptions": [{"Name": "subscription.1"}]}],
            }
        ],
        "Logging": {"Type": "File"},
    }
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "Config.json"
    path.write_text(json.dumps(CONFIG))
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "localcloud.emulators.service_bus", *map(str, arguments)]


@contextmanager
def emulator(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running process and its port."""
    with subprocess.Popen(command("--port", 0, *arguments), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"listens on 127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found is not None
            yield process, int(found[1])
        finally:
            process.kill()


def test_the_printed_connection_string_works_and_a_signal_ends_it(config: Path) -> None:
    with emulator("--entities", config, "--memory") as (process, port):
        text = f"Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey"
        text += ";SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
        with ServiceBusClient.from_connection_string(text) as client:
            with client.get_topic_sender("topic.1") as sender:
                sender.send_messages(ServiceBusMessage("hello"))
            with client.get_subscription_receiver("topic.1", "subscription.1") as receiver:
                (got,) = receiver.receive_messages(1, max_wait_time=10)
                assert str(got) == "hello"
                receiver.complete_message(got)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_what_was_acknowledged_survives_a_kill(config: Path, tmp_path: Path) -> None:
    """After each kill all that was acknowledged is there, and nothing that was completed."""
    sent, completed = 0, set[bytes]()
    where = ("--entities", config, "--data", tmp_path / "data")
    for _ in range(3):
        with emulator(*where) as (process, port), Raw(port) as raw:
            raw.start().sender("queue.1")
            for number in range(200):
                raw.transfer(0, number, body(b"%d" % sent))
                assert frames.described(raw.frame(frames.DISPOSITION).fields[4])[0] == frames.ACCEPTED
                sent += 1
            raw.receiver("queue.1")
            raw.flow(1, 20)
            for frame in [raw.frame(frames.TRANSFER) for _ in range(20)]:
                state = frames.composite(frames.ACCEPTED, [])
                raw.write(frames.DISPOSITION, [True, frame.fields[1], None, False, state, None])
                raw.frame(frames.DISPOSITION)
                completed.add(number_of(frame.payload))
            for number in range(200, 250):  # on their way when it dies: may be there afterwards, or not
                raw.transfer(0, number, body(b"unanswered"))
            process.kill()
    with emulator(*where) as (_, port), Raw(port) as raw:
        raw.start().receiver("queue.1", mode=1)
        raw.flow(1, 10_000, drain=True)
        left = set()
        while (frame := raw.frame(frames.TRANSFER, frames.FLOW)).code == frames.TRANSFER:
            left.add(number_of(frame.payload))
    left.discard(b"unanswered")
    assert left | completed == {b"%d" % number for number in range(sent)}
    assert not left & completed


def number_of(payload: bytes) -> bytes:
    found = message.read(payload)
    return found.bare[found.tail + 5 :]


def test_administration_wants_a_signature(config: Path) -> None:
    with subprocess.Popen(
        command("--port", 0, "--admin-port", 0, "--memory", "--entities", config), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"Administration: http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found is not None
        client = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
        for headers, status in (({"Authorization": signature("http://localhost")}, 200), ({}, 401)):
            client.request("GET", "/queue.1?api-version=2021-05", headers=headers)
            answer = client.getresponse()
            assert answer.status == status
            assert (b"<QueueDescription" in answer.read()) == (status == 200)
        client.request("GET", "/metrics")
        answer = client.getresponse()
        assert (answer.status, answer.headers.get_content_type()) == (200, "text/plain")
        assert 'servicebus_messages_active{namespace="localhost",entity="queue.1"} 0' in answer.read().decode()
        client.close()
        process.terminate()
        assert process.wait(10) == 0


def test_two_do_not_share_a_folder(config: Path, tmp_path: Path) -> None:
    where = ("--entities", config, "--data", tmp_path / "data")
    with emulator(*where):
        second = subprocess.run(command("--port", 0, *where), capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 2
    assert "is in use by another process" in second.stderr


def test_a_config_that_is_none_says_what_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "Config.json"
    bad.write_text(
        json.dumps(
            {
                "UserConfig": {
                    "Namespaces": [{"Name": "n", "Queues": [{"Name": "q", "Properties": {"LockDuration": "PT9M"}}]}]
                }
            }
        )
    )
    for path, says in ((bad, "LockDuration"), (tmp_path / "none.json", "none.json")):
        found = subprocess.run(
            command("--memory", "--entities", path, "--port", 0),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (found.returncode, found.stdout) == (2, "")
        assert says in found.stderr
        assert "Traceback" not in found.stderr


def test_a_port_that_is_taken_says_so(config: Path) -> None:
    with emulator("--entities", config, "--memory") as (_, port):
        found = subprocess.run(
            command("--memory", "--port", port), capture_output=True, text=True, timeout=30, check=False
        )
    assert found.returncode == 2
    assert str(port) in found.stderr


def test_it_starts_small_and_soon(config: Path) -> None:
    """A bound for a busy machine; the figures are the benchmark's."""
    began = time.monotonic()
    with emulator("--entities", config, "--memory") as (process, _):
        assert time.monotonic() - began < 10
        status = Path(f"/proc/{process.pid}/status").read_text()
        kib = int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]
        assert kib < 60 * 1024
