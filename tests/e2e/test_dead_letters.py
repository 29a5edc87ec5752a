"""Dead letters as a person meets them: something is bad, list says why, it is mended, redrive brings it in once."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from azure.core.credentials import AccessToken
from azure.storage.queue import QueueClient

from localcloud.supervisor.shapes import Outside
from tests.e2e.project import Project

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the local cloud's end-to-end tests run on Linux"),
    pytest.mark.timeout(240),  # whichever comes first also starts the cloud; a minute for that on a busy machine
]
LINES, PAD, JOBS, HOPELESS = 20_000, "x" * 60, 5, 3
JOB = '''"""A step of the test's own: it fails until somebody mends it."""

import msgspec

from core.runtime.context import Context
from core.runtime.outcome import Dead, Done, Outcome, Retry


HOPELESS = 100


class Job(msgspec.Struct):
    n: int


def handle(job: Job, context: Context[None]) -> Outcome:
    context.log.info("job", n=job.n)
    return Dead("n is hopeless") if job.n >= HOPELESS else Retry("not mended")
'''


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """log_ingest with a size limit that is too low, and a storage queue whose step is broken."""
    project = Project(tmp_path_factory.mktemp("dlq") / "project")
    project.override(maxObjectMb=1)
    stack = "stacks/log_ingest.py"
    declared = '    failed = Container("failed", ContainerArgs(account=data), opts=system.child)\n'
    project.edit(stack, declared, declared + '    jobs = Queue("jobs", QueueArgs(account=data))\n')
    step = 'steps=[Every(settings.schedule, run="handlers.log_ingest.ingest")'
    project.edit(stack, step, step + ', On(jobs, run="handlers.log_ingest.job")')
    project.edit(stack, "import Every\n", "import Every, On\n")
    project.edit(
        stack, "from components.system", "from components.storage.queue import Queue, QueueArgs\nfrom components.system"
    )
    (project.root / "handlers" / "log_ingest" / "job.py").write_text(JOB)
    try:
        project.up("--no-sample")
        jobs = jobs_queue(project)
        for number in range(JOBS):  # they die of their tries before any test looks
            jobs.send_message(json.dumps({"n": number}))
        for number in range(HOPELESS):
            jobs.send_message(hopeless(number))
        project.settle()  # nothing in flight: all of them lie in the poison queue
        yield project
    finally:
        project.down()


def hopeless(number: int) -> str:
    """A message that its step calls dead: in an envelope, without one, or no message at all; odd to the character."""
    body = f' {{"n": {100 + number}, "odd": "<é & \\u0001>"}}  '
    if number == 0:
        return body
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    type_ = "Job" if number == 1 else "Other"
    head = f'"id": "h{number}", "type": "{type_}", "version": 1, "traceparent": "{trace}", "attempt": 2'
    return f'{{{head}, "body":{body}}}'


def jobs_queue(cloud: Project) -> QueueClient:
    """The queue of the broken step, as the operator reaches it."""
    endpoints = cloud.stack.status().endpoints
    (record,) = [one for one in cloud.stack.records().values() if one.inputs.get("queueName") == "jobs"]

    class Operator:
        def get_token(self, *_: str, **__: Any) -> AccessToken:
            return AccessToken(cloud.token("operator", "https://storage.azure.com"), 2**31)

    cloud.stack.require().call("GET", "/operator", None, object)  # gives the operator its roles
    return QueueClient(
        f"{endpoints['queue']}/{record.inputs['accountName']}", "jobs", credential=Operator(),
        connection_verify=endpoints["ca_file"],
    )  # fmt: skip


def listed(cloud: Project, *filters: str) -> list[dict[str, Any]]:
    return list(cloud.json("dlq", "list", *filters)["entries"])


def redriven(cloud: Project, *arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = cloud.json("dlq", "redrive", *arguments)
    cloud.settle()
    return report


def started(cloud: Project, *arguments: str) -> "subprocess.Popen[str]":
    command = [str(cloud.root / "millrace"), *arguments]
    return subprocess.Popen(command, cwd=cloud.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def sqs_of(cloud: Project) -> Any:
    keys = cloud.stack.require().call("GET", "/outside", None, Outside)
    endpoints = cloud.stack.status().endpoints
    return boto3.client(
        "sqs", endpoint_url=endpoints["sqs"], verify=endpoints["ca_file"], region_name=keys.region,
        aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret_key,
    )  # fmt: skip


def test_a_file_over_the_limit_comes_in_when_the_limit_is_raised(cloud: Project, tmp_path: Path) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    texts = [json.dumps({"n": number, "pad": PAD}) for number in range(LINES)]
    texts[7] = "never any JSON"
    (folder / "a.json").write_text("\n".join(texts))
    cloud.feed(folder)
    before = cloud.count()
    assert 0 < before < LINES - 1
    line, rest = sorted(listed(cloud, "--origin", "big/a.json"), key=lambda entry: -len(entry["excerpt"]))
    assert (line["kind"], line["excerpt"], line["attempts"]) == ("line", "never any JSON", 1)
    assert (rest["kind"], rest["system"]) == ("file", "log_ingest")
    assert cloud.json("dlq", "show", rest["id"])["details"]["position"] == int(rest["id"].partition("-")[2])
    assert redriven(cloud, "--kind", "file", "--dry-run")["done"] == 0
    cloud.override(maxObjectMb=100)
    cloud.up("--no-sample")
    random_ = random.Random(1)
    for _ in range(3):
        # Of these kinds alone: what a killed command has just taken out of a queue stays hidden there for a minute.
        process = started(cloud, "dlq", "redrive", "--origin", "big/", "--kind", "file", "--kind", "line")
        try:
            process.communicate(timeout=random_.uniform(0.5, 2.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    redriven(cloud, "--origin", "big/")
    rows = cloud.rows("Key = 'big/a.json'")
    assert sorted(row[1] for row in rows) == sorted(text for number, text in enumerate(texts) if number != 7)
    (left,) = listed(cloud, "--origin", "big/")
    assert (left["id"], left["attempts"] >= 2) == (line["id"], True)
    assert cloud.json("dlq", "drop", left["id"][:20])["done"] == 1
    assert listed(cloud, "--origin", "big/") == []


def test_messages_of_the_dead_letter_queue_go_back_to_theirs(cloud: Project) -> None:
    outputs, sqs = cloud.stack.outputs()["logIngest"], sqs_of(cloud)
    for number in range(12):
        body = json.dumps({"Bucket Name": outputs["bucket"], "Object Key": f"gone-{number}", "Event Time": "t"})
        sqs.send_message(QueueUrl=outputs["deadLetterQueueUrl"], MessageBody=body)
    found = listed(cloud, "--kind", "sqs")
    assert len(found) == 12
    assert {entry["system"] for entry in found} == {"log_ingest"}
    one = cloud.run("dlq", "list", "--kind", "sqs", "--limit", "1").stdout
    assert found[0]["id"] in one
    assert found[1]["id"] not in one
    report = redriven(cloud, found[3]["id"], found[4]["id"], "--rate", "50/s")
    assert (report["chosen"], report["done"], report["kinds"]) == (2, 2, {"sqs": 2})
    assert {entry["id"] for entry in listed(cloud, "--kind", "sqs")} == {entry["id"] for entry in found} - {
        found[3]["id"],
        found[4]["id"],
    }
    assert redriven(cloud, "--kind", "sqs")["done"] == 10
    assert (listed(cloud, "--kind", "sqs"), cloud.stack.status().in_flight) == ([], 0)


def test_ctrl_c_stops_it_and_a_second_command_is_told_who_is_first(cloud: Project) -> None:
    outputs, sqs = cloud.stack.outputs()["logIngest"], sqs_of(cloud)
    for number in range(30):
        body = json.dumps({"Bucket Name": outputs["bucket"], "Object Key": f"slow-{number}", "Event Time": "t"})
        sqs.send_message(QueueUrl=outputs["deadLetterQueueUrl"], MessageBody=body)
    process = started(cloud, "dlq", "redrive", "--rate", "2", "--kind", "sqs", "--limit", "25")
    assert process.stderr is not None
    assert process.stderr.readline() == "redrive 25 …\n"
    second = cloud.run("dlq", "list")
    assert (second.returncode, second.stdout) == (1, "")
    assert "one command at a time; process " in second.stderr
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    cloud.settle()
    left = listed(cloud, "--kind", "sqs")
    assert 5 < len(left) <= 30
    assert cloud.json("dlq", "drop", "--kind", "sqs")["done"] == len(left)


def test_poison_messages_go_back_when_their_step_is_mended(cloud: Project) -> None:
    found = listed(cloud, "--kind", "storage", "--reason", "not mended")
    assert sorted(entry["excerpt"] for entry in found) == [f'{{"n": {number}}}' for number in range(JOBS)]
    assert {(entry["origin"], entry["system"], entry["attempts"]) for entry in found} == {("jobs", "log_ingest", 5)}
    assert {entry["details"]["function"] for entry in found} == {"job"}
    assert "dead letters: ./millrace dlq list" in cloud.run("status").stdout
    everything = cloud.run("dlq", "drop")
    assert (everything.returncode, "drop of everything" in everything.stderr) == (2, True)
    mend(cloud, "Retry", "not mended")
    assert redriven(cloud, found[0]["id"])["done"] == 1
    assert redriven(cloud, "--kind", "storage", "--reason", "not mended", "--rate", "20/s")["done"] == JOBS - 1
    assert (listed(cloud, "--kind", "storage", "--reason", "mended"), cloud.stack.status().in_flight) == ([], 0)
    jobs = [n for n in handled(cloud) if n < 100]
    assert sorted(jobs) == sorted([*range(JOBS)] * 6), "five tries each before, one after"


def test_a_hopeless_message_is_poison_at_once_and_goes_back_as_it_was(cloud: Project) -> None:
    found = listed(cloud, "--kind", "storage", "--reason", "hopeless")
    assert sorted((entry["attempts"], entry["details"]["function"]) for entry in found) == [(1, "job"), (2, "job")]
    (other,) = listed(cloud, "--kind", "storage", "--reason", "got a Other of version 1")
    assert other["details"]["trace"] == "0af7651916cd43dd8448eb211c80319c"
    found.sort(key=lambda entry: entry["attempts"])  # two are handled at once: either may be the first to give up
    bodies = [entry["details"]["body"] for entry in (*found, other)]
    assert bodies == [hopeless(number) for number in range(HOPELESS)]
    assert sorted(n for n in handled(cloud) if n >= 100) == [100, 101], "one try each; the third could not be decoded"
    app = found[0]["app"]
    assert app.startswith("log-ingest-local-"), app
    by_app = listed(cloud, "--app", "log-ingest", "--kind", "storage", "--before", "0s")
    assert {entry["id"] for entry in by_app} >= {entry["id"] for entry in found}
    assert listed(cloud, "--app", "nobody") == listed(cloud, "--kind", "storage", "--before", "1h") == []
    mend(cloud, "Dead", "n is hopeless")
    assert redriven(cloud, "--kind", "storage", "--reason", "hopeless")["done"] == 2
    assert sorted(n for n in handled(cloud) if n >= 100) == [100, 100, 101, 101]
    assert cloud.json("dlq", "drop", "--reason", "got a Other", "--yes")["done"] == 1


def mend(cloud: Project, outcome: str, reason: str) -> None:
    """The step does from now on what it could not do."""
    cloud.edit("handlers/log_ingest/job.py", f'{outcome}("{reason}")', "Done()")
    cloud.up("--no-sample")


def handled(cloud: Project) -> list[int]:
    lines = cloud.json("logs", "--lines", "1000")["lines"]
    return [line["fields"]["n"] for line in lines if line.get("event") == "job"]
