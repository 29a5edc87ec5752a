"""Who is told of what: nobody without an address; with one, failures, silence and dead letters on both clouds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.aws.log_bucket import LogBucket, LogBucketArgs
from components.aws.trust import EntraTrust, EntraTrustArgs
from components.monitoring.alerts import silence
from components.storage.container import Container, ContainerArgs
from components.storage.queue import Queue, QueueArgs
from components.workers.function_worker import FunctionWorker, FunctionWorkerArgs
from components.workers.ncrontab import Schedule, longest_gap, parse
from components.workers.steps import Every, On, Step
from tests.components.program import ACCOUNT, Base, Declared, declare, project

EMAILS = ("one@example.com", "two@example.com")
WATCHING = {"ActionGroup", "ScheduledQueryRule", "MetricAlarm", "Topic", "TopicSubscription"}


def watched(root: Path, emails: tuple[str, ...] = EMAILS, schedule: str = "0 */30 * * * *") -> Declared:
    """A timed worker, a container of dead letters, a bucket with its queues."""

    def main() -> None:
        base = Base(project(root, {"demo.tick": []}), alert_emails=emails)
        failed = Container("failed", ContainerArgs(account=base.account), opts=base.system.child)
        FunctionWorker(
            "demo",
            FunctionWorkerArgs(
                group=base.group,
                foundation=base.foundation,
                system="demo",
                steps=[Every(schedule, run="handlers.demo.tick")],
            ),
            opts=base.system.child,
        )
        if base.foundation.alerts:
            base.foundation.alerts.watch_dead_letters("demo", failed, parent=base.system)
        trust = EntraTrust("entra", EntraTrustArgs(environment=base.environment, audience="api://x"))
        LogBucket("source", LogBucketArgs(trust=trust))

    return declare(main)


def test_without_an_address_there_is_no_alert(tmp_path: Path) -> None:
    found = watched(tmp_path, emails=())
    assert [one.type for one in found.custom if one.type.split(":")[-1] in WATCHING] == []
    assert [one.inputs["name"] for one in found.all("DiagnosticSetting")] == ["audit"]


def test_every_alert_of_azure_goes_to_every_address(tmp_path: Path) -> None:
    found = watched(tmp_path)
    group, rules = found.one("ActionGroup"), found.all("ScheduledQueryRule")
    assert tuple(one["emailAddress"] for one in group.inputs["emailReceivers"]) == EMAILS
    assert {one.name for one in rules} == {"demo-failed", "demo-failing", "demo-tick-silent", "demo-dead"}
    for rule in rules:
        assert rule.inputs["actions"] == {"actionGroups": [group.id]}
        assert rule.inputs["scopes"] == [found.one("Workspace").id]


def test_a_failed_run_is_told_and_so_is_a_function_that_stays_silent(tmp_path: Path) -> None:
    found = watched(tmp_path)
    app = found.one("WebApp").inputs["name"]
    failed, silent = (found.one("ScheduledQueryRule", name).inputs for name in ("demo-failed", "demo-tick-silent"))
    (one,) = failed["criteria"]["allOf"]
    assert one["query"] == f'AppRequests | where AppRoleName =~ "{app}" and Success == false'
    assert (one["operator"], one["threshold"], failed["windowSize"]) == ("GreaterThan", 0, "PT15M")
    (one,) = silent["criteria"]["allOf"]
    assert one["query"] == (
        f'AppRequests | where AppRoleName =~ "{app}" and OperationName == "tick" and Success == true'
    )
    assert (one["operator"], one["threshold"], silent["windowSize"]) == ("LessThan", 1, "PT2H")


def test_a_share_of_failed_runs_is_told_whatever_starts_them(tmp_path: Path) -> None:
    found = watched(tmp_path)
    app, failing = found.one("WebApp").inputs["name"], found.one("ScheduledQueryRule", "demo-failing").inputs
    (one,) = failing["criteria"]["allOf"]
    assert one["query"] == (
        f'AppRequests | where AppRoleName =~ "{app}" | summarize total = count(), failed = countif(Success == false) '
        "| where failed >= 5 and failed > 0.1 * total"
    )
    assert (one["operator"], one["threshold"], failing["windowSize"]) == ("GreaterThan", 0, "PT1H")


def queued(root: Path, emails: tuple[str, ...] = EMAILS) -> Declared:
    """A worker with a timer and two queues of one account."""

    def main() -> None:
        base = Base(project(root, {"demo.tick": [], "demo.one": [], "demo.two": []}), alert_emails=emails)
        one, two = (Queue(name, QueueArgs(account=base.account)) for name in ("one-work", "two-work"))
        Queue("by-hand", QueueArgs(account=base.account, consumer="operator"))
        steps: list[Step] = [Every("0 * * * * *", run="handlers.demo.tick")]
        steps += [On(one, run="handlers.demo.one"), On(two, run="handlers.demo.two")]
        args = FunctionWorkerArgs(group=base.group, foundation=base.foundation, system="demo", steps=steps)
        FunctionWorker("demo", args, opts=base.system.child)

    return declare(main)


def test_every_queue_of_a_step_is_watched_by_its_own_logs(tmp_path: Path) -> None:
    found = queued(tmp_path)
    account = found.one("StorageAccount", "demo")
    names = {one.name for one in found.all("ScheduledQueryRule")}
    assert names == {
        *("demo-failed", "demo-failing", "demo-tick-silent"),
        *("one-work-poison", "one-work-waiting", "two-work-poison", "two-work-waiting"),
    }
    query = found.one("ScheduledQueryRule", "one-work-poison").inputs["criteria"]["allOf"][0]["query"]
    assert f'AccountName =~ "{account.inputs["accountName"]}"' in query
    assert query.endswith('tostring(parse_url(Uri).Path) == "/one-work-poison/messages"')
    rule = found.one("ScheduledQueryRule", "two-work-waiting").inputs
    assert rule["windowSize"] == "P2D"
    assert (
        'where path == "/two-work/messages" or path startswith "/two-work/messages/"'
        in (rule["criteria"]["allOf"][0]["query"])
    )
    (kept,) = [one for one in found.all("DiagnosticSetting") if one.inputs["name"] == "changes"]
    assert kept.inputs["resourceUri"] == f"{account.id}/queueServices/default"
    assert [one["category"] for one in kept.inputs["logs"]] == ["StorageWrite", "StorageDelete"]


def test_with_queues_only_a_timers_single_failure_is_told(tmp_path: Path) -> None:
    """A message that fails is tried again, and put aside in the end: the poison alert tells of it."""
    query = queued(tmp_path).one("ScheduledQueryRule", "demo-failed").inputs["criteria"]["allOf"][0]["query"]
    assert query.endswith('and OperationName in ("tick") and Success == false')


def test_a_queue_is_not_logged_for_nobody(tmp_path: Path) -> None:
    assert [one.inputs["name"] for one in queued(tmp_path, emails=()).all("DiagnosticSetting")] == ["audit"]


def test_dead_letters_are_seen_in_the_storage_logs(tmp_path: Path) -> None:
    found = watched(tmp_path)
    account, container = found.one("StorageAccount", "demo"), found.one("BlobContainer", "failed").inputs
    (one,) = found.one("ScheduledQueryRule", "demo-dead").inputs["criteria"]["allOf"]
    assert f'ObjectKey startswith "/{account.inputs["accountName"]}/{container["containerName"]}/"' in one["query"]
    writes = found.one("DiagnosticSetting", "demo-writes").inputs
    assert writes["resourceUri"] == f"{account.id}/blobServices/default"
    assert writes["workspaceId"] == found.one("Workspace").id


def test_dead_letters_of_sqs_have_an_alarm_on_aws(tmp_path: Path) -> None:
    found = watched(tmp_path)
    alarm, topic = found.one("MetricAlarm").inputs, found.one("Topic")
    assert alarm["dimensions"] == {"QueueName": "logs-source-dead-test"}
    assert (alarm["comparisonOperator"], alarm["threshold"]) == ("GreaterThanThreshold", 0)
    assert alarm["alarmActions"] == [topic.id] == [f"arn:aws:sns:eu-central-1:{ACCOUNT}:source-alerts-test"]
    told = [
        (one.inputs["topic"], one.inputs["protocol"], one.inputs["endpoint"]) for one in found.all("TopicSubscription")
    ]
    assert sorted(told) == [(topic.id, "email", email) for email in EMAILS]


@pytest.mark.parametrize(
    ("schedule", "gap", "window"),
    [
        ("*/2 * * * * *", timedelta(seconds=2), "PT15M"),
        ("0 */5 * * * *", timedelta(minutes=5), "PT15M"),
        ("0 */30 * * * *", timedelta(minutes=30), "PT2H"),
        ("0 0 */4 * * *", timedelta(hours=4), "P1D"),
        ("0 0 3,15 * * *", timedelta(hours=12), "P2D"),
        ("0 0 3 * * *", timedelta(days=1), ""),
        ("*/2 * 9-17 * * *", timedelta(hours=15, seconds=2), "P2D"),
        ("0 0 3 * * 1-5", timedelta(days=3), ""),
    ],
)
def test_silence_is_three_of_the_longest_intervals(schedule: str, gap: timedelta, window: str) -> None:
    assert longest_gap(parse(schedule)) == gap
    assert silence(schedule) == window


PARTS = st.sampled_from(["*", "*/7", "5", "10-20", "3,4,50"])


@settings(max_examples=20)
@given(
    second=PARTS,
    minute=PARTS.filter("*".__ne__),
    hour=st.sampled_from(["*", "*/5", "0", "9-17"]),
    day=st.sampled_from(["*", "1-5"]),
)
def test_the_longest_gap_is_the_longest_one_met_in_walking(second: str, minute: str, hour: str, day: str) -> None:
    schedule = parse(f"{second} {minute} {hour} * * {day}")
    assert longest_gap(schedule) == max(walked(schedule))


def walked(schedule: Schedule) -> list[timedelta]:
    """Every gap from a Friday to a Tuesday; seconds of one minute are compared among themselves."""
    moment = schedule.next(datetime(2024, 1, 5, tzinfo=UTC) - timedelta(seconds=1))
    end, gaps = moment + timedelta(days=4), []
    while moment < end:
        last = moment.replace(second=schedule.seconds[-1])
        gaps += [timedelta(seconds=b - a) for a, b in zip(schedule.seconds, schedule.seconds[1:], strict=False)]
        moment = schedule.next(last)
        gaps.append(moment - last)
    return gaps
