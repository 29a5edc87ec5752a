"""Function workers that cannot be right are refused where they are declared, with the change to make."""

from pathlib import Path

import pytest

from components.packaging.manifest import QueueOptions
from components.packaging.target import Target
from components.workers.steps import Every, On
from localcloud.engine.embedded import ProgramError
from tests.components.function_workers import Change, worker

DEMO = 'FunctionWorker "demo"'


REFUSED: dict[str, tuple[Change, str]] = {
    "setting nobody supplies": (
        lambda parts: {"uses": [parts.jobs.send()]},
        (
            f"{DEMO}: handler handlers.demo.work must find every setting it reads, got nothing for OUT_URL; "
            r"add what supplies it to uses=\[…\] \(supplied are .*JOBS_QUEUE_NAME.*\), "
            "or give the field in handlers/demo/work.py a default"
        ),
    ),
    "trigger that is no declared queue": (
        lambda _parts: {"steps": [On("jobs", run="handlers.demo.work")]},  # type: ignore[arg-type]
        rf"{DEMO}: On\(…\) must be given a declared queue or subscription, got 'jobs'; declare it first",
    ),
    "trigger on somebody else's queue": (
        lambda parts: {"steps": [On(parts.next, run="handlers.demo.work")]},
        (
            f'{DEMO}: queue "next" must be declared with consumer="step" to trigger a step, got consumer=\'external\'; '
            "take the trigger or the consumer away"
        ),
    ),
    "step whose file does not exist": (
        lambda parts: {"steps": [On(parts.jobs, run="handlers.demo.nothing")]},
        (
            f'{DEMO}: handler "handlers.demo.nothing": a handler must be a module under handlers/, '
            r"got no such file: handlers/demo/nothing\.py; create handlers/demo/nothing\.py, or correct run=…"
        ),
    ),
    "step outside handlers": (
        lambda parts: {"steps": [On(parts.jobs, run="core.work")]},
        f'{DEMO}: handler "core.work": a handler must be a module under handlers/, got a name outside handlers; say',
    ),
    "no steps": (lambda _parts: {"steps": []}, "FunctionWorker: steps must name at least one, got none; add a step"),
    "two steps of one name": (
        lambda parts: {
            "steps": [On(parts.jobs, run="handlers.demo.work"), Every("0 0 0 * * *", run="handlers.other.work")]
        },
        f"{DEMO}: each step needs a handler of its own name, got work twice; rename one of the handler files",
    ),
    "two steps on one queue": (
        lambda parts: {"steps": [On(parts.jobs, run="handlers.demo.work"), On(parts.jobs, run="handlers.demo.tick")]},
        f'{DEMO}: queue "jobs" must trigger one step, got work and tick; give each step a queue of its own',
    ),
    "memory": (
        lambda _parts: {"memory_mb": 1024},
        f"{DEMO}: memory_mb must be 512, 2048 or 4096, got 1024; set memory_mb=2048",
    ),
    "instances on flex": (
        lambda _parts: {"max_instances": 39},
        f"{DEMO}: max_instances must be 40 to 1000 on plan flex, got 39; set max_instances=40",
    ),
    "instances on consumption": (
        lambda _parts: {"plan": "consumption", "max_instances": 201},
        f"{DEMO}: max_instances must be 1 to 200 on plan consumption, got 201; set max_instances=",
    ),
    "plan": (lambda _parts: {"plan": "premium"}, f"{DEMO}: plan must be flex or consumption, got 'premium'; set plan="),
    "time limit": (
        lambda _parts: {"time_limit_s": 0},
        "FunctionWorker: time_limit_s must be 1 to 3600 seconds, got 0; set time_limit_s=300",
    ),
    "time limit on consumption": (
        lambda _parts: {"plan": "consumption", "time_limit_s": 601},
        "FunctionWorker: time_limit_s must be 600 at most on plan consumption, got 601; set time_limit_s=600 or plan=",
    ),
    "schedule of five fields": (
        lambda _parts: {"steps": [Every("*/30 * * * *", run="handlers.demo.tick")]},
        f"{DEMO}: a schedule must have six fields: second minute .*, got '\\*/30 \\* \\* \\* \\*'; use for example",
    ),
    "schedule out of range": (
        lambda _parts: {"steps": [Every("0 61 * * * *", run="handlers.demo.tick")]},
        f"{DEMO}: a schedule must be NCRONTAB that comes to pass, got '0 61 \\* \\* \\* \\*'; ",
    ),
    "two settings that disagree": (
        lambda _parts: {"environment": {"OUT_URL": "https://elsewhere.test/out"}},
        f"{DEMO}: setting OUT_URL must come from one place, got a second one from environment; rename one",
    ),
    "a platform's setting": (
        lambda _parts: {"environment": {"AZURE_CLIENT_ID": "somebody"}},
        f"{DEMO}: setting AZURE_CLIENT_ID must come from one place, got a second one from environment; ",
    ),
    "batch size": (
        lambda _parts: {"queues": QueueOptions(batch_size=33)},
        f"{DEMO}: .*batch_size must be .*, got 33; ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_declaration_that_cannot_be_right_is_refused_with_the_change_to_make(tmp_path: Path, case: str) -> None:
    change, message = REFUSED[case]
    with pytest.raises(ProgramError, match=f"^{message}"):
        worker(tmp_path, change)


def test_consumption_stops_at_python_3_12(tmp_path: Path) -> None:
    target = Target("3.13", "x86_64-manylinux_2_28")
    with pytest.raises(ProgramError, match=f"^{DEMO}: plan consumption runs Python 3.12 at most, got 3.13; set plan="):
        worker(tmp_path, lambda _parts: {"plan": "consumption"}, target=target)
