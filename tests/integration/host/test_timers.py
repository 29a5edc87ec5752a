from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from localcloud.host.functions import FunctionsHost
from localcloud.host.spec import AppSpec, HostError, LogLine
from tests.integration.host.waiting import until

Make = Callable[..., AppSpec]


@asynccontextmanager
async def running(spec: AppSpec, lines: list[LogLine] | None = None) -> AsyncIterator[FunctionsHost]:
    host = FunctionsHost(spec, on_line=(lines if lines is not None else []).append)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" if Path("/proc").is_dir() else True
    )


async def test_a_fired_timer_runs_with_exactly_the_declared_environment(spec: Make) -> None:
    lines: list[LogLine] = []
    async with running(spec(), lines) as host:
        result = await host.fire("tick")
        status = host.status()
    assert (result.ok, result.outcome, result.counts, result.cause) == (True, "done", {"in": 2, "out": 2}, "admin")
    line = next(line.fields for line in lines if line.event == "invocation")
    assert line is not None
    assert line["environment"] == ["GREETING", "HOME", "LC_CTYPE", "TICK_SCHEDULE", "TZ"]  # LC_CTYPE: Python's own
    assert line["word"] == "tick"
    assert not [path for path in line["path"] if "site-packages" in path and ".python_packages" not in path]
    assert len(line["trace_parent"].split("-")[1]) == 32
    function = status.functions[0]
    assert (function.runs, function.failures, function.counts["in"]) == (1, 0, 2)
    assert function.next is not None
    assert (function.next.month, function.next.day) == (1, 1)


async def test_a_schedule_fires_and_never_overlaps(spec: Make) -> None:
    async with running(spec(settings={"TICK_SCHEDULE": "* * * * * *", "DO": "slow"})) as host:
        await until(lambda: len(host.results("tick")) >= 2)
        first, second = host.results("tick")[:2]
    assert second.started >= first.started + timedelta(seconds=first.seconds)
    assert first.seconds >= 1.5


async def test_a_moment_missed_while_the_host_was_away_runs_once_and_says_so(spec: Make) -> None:
    made = spec()
    made.folder.mkdir(parents=True)
    before = datetime.now(UTC) - timedelta(days=3)
    note = {"schedule": "0 0 0 1 1 *", "next": before.isoformat()}
    (made.folder / "timer-tick.json").write_text(json.dumps(note))
    lines: list[LogLine] = []
    async with running(made, lines) as host:
        await until(lambda: bool(host.results("tick")))
        assert host.in_flight == 0
        assert len(host.results("tick")) == 1
    assert [line.fields["past_due"] for line in lines if line.fields and line.event == "invocation"] == [True]


async def test_an_exception_is_a_failed_run_with_its_trace(spec: Make) -> None:
    lines: list[LogLine] = []
    async with running(spec(settings={"DO": "raise"}), lines) as host:
        result = await host.fire("tick")
    assert (result.ok, result.outcome, result.reason) == (False, "failed", "ValueError: on purpose")
    assert any("handlers/clock/tick.py" in line.text and line.level == "error" for line in lines)


async def test_an_instance_that_dies_is_replaced(spec: Make) -> None:
    async with running(spec(settings={"DO": "die"})) as host:
        pid = host.status().instances[0].pid
        result = await host.fire("tick")
        assert (result.outcome, result.reason) == ("crashed", "the process ended with exit code 9")
        await until(lambda: host.status().instances[0].state == "ready")
        assert host.status().instances[0].pid not in {pid, None}
        assert host.status().instances[0].restarts == 1


async def test_stop_does_not_wait_for_an_instance_that_keeps_dying(spec: Make) -> None:
    host = FunctionsHost(spec(settings={"DO": "die"}), on_line=lambda _: None)
    await host.start()
    await host.fire("tick")
    await until(lambda: host.status().instances[0].state == "waiting")
    run = asyncio.create_task(host.fire("tick"))
    await until(lambda: host.in_flight == 1)
    async with asyncio.timeout(8):
        await host.stop()
    assert (await run).outcome == "crashed"


async def test_the_time_limit_ends_the_instance(spec: Make, packages: dict[str, Path], tmp_path: Path) -> None:
    package = shutil.copytree(packages["ticker"], tmp_path / "limited")
    document = json.loads((package / "host.json").read_text()) | {"functionTimeout": "00:00:01"}
    (package / "host.json").write_text(json.dumps(document))
    async with running(spec(package=package, settings={"DO": "hang"})) as host:
        pid = host.status().instances[0].pid
        result = await host.fire("tick")
        assert result.outcome == "timeout"
        assert result.seconds < 10  # it would hang for ever
        assert pid is not None
        assert not alive(pid)


async def test_stop_lets_work_in_hand_finish(spec: Make) -> None:
    host = FunctionsHost(spec(settings={"DO": "slow"}), on_line=lambda _: None)
    await host.start()
    run = asyncio.create_task(host.fire("tick"))
    await until(lambda: host.in_flight == 1)
    await host.stop()
    assert (await run).ok


async def test_stop_keeps_the_result_of_a_timers_own_run(spec: Make) -> None:
    host = FunctionsHost(spec(settings={"TICK_SCHEDULE": "* * * * * *", "DO": "slow"}), on_line=lambda _: None)
    await host.start()
    await until(lambda: host.in_flight == 1)
    await host.stop()
    assert [(result.cause, result.ok) for result in host.results("tick")] == [("timer", True)]


async def test_invocations_on_one_instance_run_side_by_side(spec: Make, packages: dict[str, Path]) -> None:
    from localcloud.host.instance import Instance

    instance = Instance(spec(settings={"DO": "slow"}), lambda _pid, _text: None)
    await instance.start()
    began = asyncio.get_running_loop().time()
    command = {"function": "tick", "data": "{}", "data_type": "json", "metadata": {}}
    answers = await asyncio.gather(*(instance.invoke(command | {"id": str(number)}) for number in range(4)))
    elapsed = asyncio.get_running_loop().time() - began
    await instance.stop(1)
    assert [answer["ok"] for answer in answers] == [True] * 4
    assert elapsed < 6  # each takes 1.5 s


async def test_stop_ends_work_that_exceeds_the_grace(spec: Make) -> None:
    host = FunctionsHost(spec(settings={"DO": "hang"}, grace_s=0.3), on_line=lambda _: None)
    await host.start()
    pid = host.status().instances[0].pid
    run = asyncio.create_task(host.fire("tick"))
    await until(lambda: host.in_flight == 1)
    await host.stop()
    assert (await run).outcome == "crashed"
    assert pid is not None
    assert not alive(pid)


async def test_no_instance_outlives_a_killed_host(spec: Make, tmp_path: Path) -> None:
    made = spec(settings={"DO": "hang"})
    script = tmp_path / "host.py"
    script.write_text(
        "import asyncio, sys, msgspec\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[3])!r})\n"
        "from localcloud.host.functions import FunctionsHost\n"
        "from localcloud.host.spec import AppSpec\n"
        "async def main():\n"
        "    spec = msgspec.json.decode(sys.argv[1], type=AppSpec, dec_hook=lambda kind, text: kind(text))\n"
        "    host = FunctionsHost(spec, on_line=lambda _: None)\n"
        "    await host.start()\n"
        "    task = asyncio.create_task(host.fire('tick'))\n"
        "    print(host.status().instances[0].pid, flush=True)\n"
        "    await task\n"
        "asyncio.run(main())\n"
    )
    encoded = msgspec.json.encode(made, enc_hook=str).decode()
    process = await asyncio.create_subprocess_exec(made.python, str(script), encoded, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    assert alive(pid)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await until(lambda: not alive(pid), 5)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"TICK_SCHEDULE": "every hour"}, r'function "tick": schedule "every hour": it must have 6 fields .* got 2'),
        ({"TICK_SCHEDULE": "0 0 0 30 2 *"}, r'schedule "0 0 0 30 2 \*" never happens'),
    ],
)
async def test_a_wrong_schedule_stops_the_start(spec: Make, settings: dict[str, str], error: str) -> None:
    host = FunctionsHost(spec(settings=settings), on_line=lambda _: None)
    with pytest.raises(HostError, match=error):
        await host.start()
    assert host.status().instances == []


async def test_a_package_that_does_not_load_says_why(spec: Make, packages: dict[str, Path], tmp_path: Path) -> None:
    package = shutil.copytree(packages["ticker"], tmp_path / "broken")
    (package / "core" / "clocks" / "words.py").unlink()
    host = FunctionsHost(spec(package=package), on_line=lambda _: None)
    with pytest.raises(HostError, match=r"ModuleNotFoundError: No module named 'core.clocks.words'"):
        await host.start()


async def test_a_schedule_setting_that_nobody_supplies_is_named(spec: Make) -> None:
    made = spec()
    del made.settings["TICK_SCHEDULE"]
    host = FunctionsHost(made, on_line=lambda _: None)
    with pytest.raises(HostError, match=r"app setting TICK_SCHEDULE must exist for its trigger"):
        await host.start()
