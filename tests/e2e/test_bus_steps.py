"""A step on Service Bus as its author meets it: declared, run, given up, listed, sent back."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bus import row, send
from tests.e2e.project import Project

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the local cloud's end-to-end tests run on Linux"),
    pytest.mark.timeout(240),
]
STEP = '''"""Queue `jobs` → nothing, or a reason."""

import msgspec

from core.runtime.context import Context
from core.runtime.outcome import Dead, Done, Outcome


class Job(msgspec.Struct):
    n: int


def handle(job: Job, context: Context[None]) -> Outcome:
    context.log.info("job", n=job.n)
    return Dead("n is hopeless") if job.n >= 100 else Done(counts={"out": 1})
'''
BUS = """
    bus = Namespace("bus", NamespaceArgs(group=group, foundation=base), opts=system.child)
    jobs = Queue("jobs", QueueArgs(namespace=bus))
"""
IMPORTS = """from components.messaging.namespace import Namespace, NamespaceArgs
from components.messaging.queue import Queue, QueueArgs
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path / "project")
    stack = "stacks/log_ingest.py"
    declared = '    failed = Container("failed", ContainerArgs(account=data), opts=system.child)\n'
    project.edit(stack, declared, declared + BUS)
    project.edit(stack, "from components.monitoring.collector", f"{IMPORTS}from components.monitoring.collector")
    step = 'steps=[Every(settings.schedule, run="handlers.log_ingest.ingest")'
    project.edit(stack, step, step + ', On(jobs, run="handlers.log_ingest.job")')
    project.edit(stack, "import Every\n", "import Every, On\n")
    (project.root / "handlers" / "log_ingest" / "job.py").write_text(STEP)
    try:
        project.up("--no-sample")
        project.stack.require().call("GET", "/operator", None, object)  # gives the operator its roles
        yield project
    finally:
        project.down()


def reasons(cloud: Project) -> list[str]:
    return sorted(one["reason"].partition(":")[0] for one in cloud.json("dlq", "list", "--kind", "bus")["entries"])


def test_what_a_step_gives_up_lies_there_with_its_reason_until_it_is_sent_back(cloud: Project) -> None:
    send(cloud, "jobs", '{"n": 1}', '{"n": 100}', "rubbish")
    cloud.settle()
    assert (row(cloud, "jobs").active, row(cloud, "jobs").dead) == (0, 2)
    given_up = reasons(cloud)
    assert (len(given_up), "n is hopeless" in given_up) == (2, True)
    (app,) = [one for one in cloud.json("status")["apps"] if one["system"] == "log_ingest"]
    (job,) = [one for one in app["functions"] if one["name"] == "job"]
    assert (job["runs"], job["failures"]) == (3, 2)
    assert cloud.json("dlq", "redrive", "--yes")["done"] == 2
    cloud.settle()
    assert reasons(cloud) == given_up  # nothing was mended, so they came again
    cloud.edit("handlers/log_ingest/job.py", "n >= 100", "n >= 1000")
    cloud.up("--no-sample")
    assert cloud.json("dlq", "redrive", "--reason", "hopeless", "--yes")["done"] == 1
    cloud.settle()
    assert len(reasons(cloud)) == 1
