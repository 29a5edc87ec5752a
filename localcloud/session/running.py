"""`up` from beginning to end: start, apply, feed each system its sample once, wait, report."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from localcloud.control.client import Supervisor
from localcloud.host.spec import InvocationResult
from localcloud.session.feeding import DEPLOYED, feed_sample
from localcloud.session.local import LocalCloudError, LocalStack
from localcloud.supervisor.shapes import CloudStatus

SAMPLE_WAIT_S = 300


class Told(Protocol):
    """Where a step's progress goes."""

    def tell(self, note: str) -> None:
        """How far it is."""


Working = Callable[[str], AbstractContextManager[Told]]
OtherEngine = Callable[[LocalStack, Callable[[str, str], None], Callable[[str], None]], tuple[Counter[str], list[str]]]
"""Applies a stack by another engine than the embedded: `(stack, progress, say)` → resources by step, and failures."""


class Resources(msgspec.Struct, kw_only=True):
    """What an `up` did; a replaced resource counts as updated."""

    created: int
    updated: int
    deleted: int
    unchanged: int


class SystemReport(msgspec.Struct, kw_only=True):
    """What came of a system's sample, in the system's own units."""

    state: str
    """`idle`, or `failed`."""
    in_: int = msgspec.field(name="in", default=0)
    out: int = 0
    dead: int = 0
    skipped: int = 0
    seconds: float = 0.0
    fed: int = 0
    reasons: dict[str, int] = {}
    """Why records are dead, where a system's summaries say it."""
    note: str = ""
    try_next: list[str] = []


class UpReport(msgspec.Struct, kw_only=True):
    """`./millrace up --json`."""

    engine: str
    seconds: float
    """All of it."""
    applied_seconds: float
    """Until the program was applied; the rest is the sample's."""
    resources: Resources
    systems: dict[str, SystemReport]
    endpoints: dict[str, str]


def bring_up(
    stack: LocalStack, *, systems: list[str], sample: bool, working: Working, pulumi: OtherEngine | None = None
) -> UpReport:
    """Make the local cloud as the program says and try it; raises `LocalCloudError` when the program does not apply.

    `pulumi` (plugins/up.py) applies it, not the embedded engine. Ctrl-C ends a local cloud that this call started;
    one that ran before stays.
    """
    began, ran_before = time.monotonic(), stack.running() is not None
    try:
        with working("starting the local cloud") as step:
            supervisor = stack.ensure(step.tell)
        resources = _apply(stack, supervisor, systems, pulumi, working)
        applied_s = time.monotonic() - began
        wanted = [name for name in _declared(stack) if not systems or name in systems]
        reports = {name: _try(stack, name, sample=sample, working=working) for name in wanted}
        return UpReport(
            engine="pulumi" if pulumi else "embedded",
            seconds=round(time.monotonic() - began, 2),
            applied_seconds=round(applied_s, 2),
            resources=resources,
            systems=reports,
            endpoints=stack.status().endpoints,
        )
    except KeyboardInterrupt:
        if not ran_before:
            stack.stop()
        raise


def _apply(
    stack: LocalStack, supervisor: Supervisor, systems: list[str], pulumi: OtherEngine | None, working: Working
) -> Resources:
    with working("applying the program") as step:
        seen: Counter[str] = Counter()

        def progress(what: str, name: str) -> None:
            seen[what] += 1
            step.tell(f"{sum(seen.values())} resources, {what} {name}")

        if pulumi:
            counts, failures = pulumi(stack, progress, step.tell)
        else:
            result = stack.apply(supervisor, lambda what, record: progress(what, record.name), systems or None)
            counts, failures = Counter(result.counts), result.failures
        step.tell(", ".join(f"{count} {what}" for what, count in sorted(seen.items())))
    if failures:
        reasons = "\n  ".join([*failures, *stack.status().problems.values()])
        raise LocalCloudError(f"the program was not applied as a whole:\n  {reasons}")
    return Resources(
        created=counts["create"],
        updated=counts["update"] + counts["replace"],
        deleted=counts["delete"],
        unchanged=counts["same"],
    )


def _declared(stack: LocalStack) -> list[str]:
    declared = msgspec.json.decode(stack.program().config.get("millrace:systems", "[]"))
    return [str(name) for name in declared]


def _try(stack: LocalStack, system: str, *, sample: bool, working: Working) -> SystemReport:
    """A system's sample, once per local data; later the report of that time."""
    problems = stack.status().problems
    if problems:
        return SystemReport(state="failed", note="; ".join(problems.values()))
    kept = stack.home / "samples" / f"{system}.json"
    if kept.exists():
        report = msgspec.json.decode(kept.read_bytes(), type=SystemReport)
        report.note = "from the first up; feed it again: ./millrace feed " + f"{system} --sample"
        return report
    if not sample:
        return SystemReport(state="idle", note="no sample fed")
    report = _feed(stack, system, working)
    if report.state == "idle":
        _keep(kept, report)
    return report


def _feed(stack: LocalStack, system: str, working: Working) -> SystemReport:
    began, before, since = time.monotonic(), _counts(stack.status(), system), datetime.now(UTC)
    with working(f"feeding {system} its sample") as step:
        fed = feed_sample(stack, system, on_item=lambda count: step.tell(f"{count} given"))
        stack.fire_timers(system)
    report = SystemReport(state="idle", fed=fed, try_next=_hints(stack, system))
    with working(f"{system} at work") as step:
        try:
            status = stack.wait(
                SAMPLE_WAIT_S, on_poll=lambda now: step.tell(f"{now.in_flight} in flight"), systems=[system]
            )
        except LocalCloudError as error:
            report.state, report.note = "failed", str(error)
            status = stack.status()
    after = _counts(status, system)
    report.in_, report.out = after["in"] - before["in"], after["out"] - before["out"]
    report.dead, report.skipped = after["dead"] - before["dead"], after["skipped"] - before["skipped"]
    if report.dead and system != "alma_analytics":  # its records that were left alone are no dead letters
        report.try_next.insert(0, "./millrace dlq list")
    report.seconds = round(time.monotonic() - began, 2)
    report.reasons = _reasons(stack, system, since)
    return report


def _reasons(stack: LocalStack, system: str, since: datetime) -> dict[str, int]:
    """Failures by reason, added up over the summaries of the runs since then."""
    total: Counter[str] = Counter()
    for result in stack.require().call("GET", f"/results/{system}", None, list[InvocationResult]):
        if result.started >= since and isinstance(result.summary, dict):
            total.update(result.summary.get("failures") or {})
    return dict(total)


def _counts(status: CloudStatus, system: str) -> Counter[str]:
    """What a system's functions have counted since their host started."""
    total: Counter[str] = Counter()
    for app in status.apps:
        if app.system == system:
            for function in app.functions:
                total.update(function.counts)
    return total


def _hints(stack: LocalStack, system: str) -> list[str]:
    """Commands worth typing next, from the system's own outputs."""
    hints = [f"./millrace logs {system.replace('_', '-')}", "./millrace status"]
    outputs: dict[str, Any] = stack.outputs().get(DEPLOYED.get(system, "")) or {}
    if table := outputs.get("table"):
        hints.insert(0, f'./millrace query "select * from {table} limit 5"')  # noqa: S608  words for a person
    if system == "alma_analytics":
        hints[:1] = ["./millrace alma runs, then alma show RUN", f"open {stack.status().endpoints['inbox']}"]
    return hints


def _keep(file: Path, report: SystemReport) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(report))
