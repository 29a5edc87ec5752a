"""Which messages go out again, for every place where a run can stand."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from core.alma_analytics.resume import Cursor, NotResumable, Plan, plan
from core.jobs.machine import Run, Stage, Task
from core.messages.alma_analytics import Side
from tests.unit.alma_analytics.rows import row

NOW = datetime(2026, 11, 26, tzinfo=UTC)
BOTH: dict[Side, Cursor] = {"main": Cursor(1, 4), "other": Cursor(2, 3)}


def run(state: str = "failed", **job: Any) -> Run:
    return msgspec.convert(
        {"run_id": "r", "system": "alma_analytics", "job": "j", "slot": NOW, "trigger": "schedule", "state": state,
         "params": row(**job), "traceparent": "", "error": "x", "parked_until": None, "created_at": NOW,
         "finished_at": NOW, "requests": 0, "counts": {}, "retries": 0},
        Run,
    )  # fmt: skip


def single(state: str = "failed") -> Run:
    """A run of a job with one report, which it only fetches."""
    return run(state, other=None, rule=None, report={"path": "/a"})


def standing(**tasks: dict[str, str]) -> tuple[list[Stage], list[Task]]:
    """Stages with their tasks' states: `update={"0": "done", "1": "waiting"}`."""
    stages, found = [], []
    for number, (name, states) in enumerate(tasks.items()):
        stage = name.replace("_", "-")
        settled = [state for state in states.values() if state in ("done", "failed")]
        done = len(settled) == len(states)
        stages.append(Stage(run_id="r", stage=stage, state="done" if done else "open", sealed=done, round=1,
                            tasks=len(states), settled=len(settled), failed=settled.count("failed"), opened_at=NOW,
                            done_at=NOW if done else None))  # fmt: skip
        for task, state in states.items():
            found.append(
                msgspec.convert(
                    {
                        "run_id": "r",
                        "stage": stage,
                        "task": task,
                        "state": state,
                        "attempt": int(state != "waiting"),
                        "round": number,
                        "started_at": None,
                        "finished_at": None,
                        "requests": 0,
                        "result": None,
                        "reason": "x" if state == "failed" else None,
                    },
                    Task,
                )
            )
    return stages, found


PAGES = {"1": "done", "2": "done", "3": "done"}
FETCHED = {"fetch_main": PAGES, "fetch_other": PAGES}
COMBINED = FETCHED | {"combine": {"main": "done", "other": "done"}}
PREPARED = COMBINED | {"cross_reference": {"1": "done"}, "prepare": {"1": "done"}}


def said(made: Plan) -> list[tuple[str, str]]:
    """Queue and the message's own fields."""
    return [
        (
            again.queue,
            " ".join(str(value) for key, value in msgspec.structs.asdict(again.message).items() if key != "run_id"),
        )
        for again in made.messages
    ]


PLACES = [
    ("nothing has come yet", {}, {}, "running", [("api-fetch", "main 1 1"), ("api-fetch", "other 1 1")], []),
    (
        "stuck between pages",
        FETCHED | {"fetch_main": {"1": "done", "2": "running"}},
        BOTH,
        "running",
        [("api-fetch", "main 1 4"), ("data-combine", "other 2")],
        [],
    ),
    (
        "failed between pages",
        FETCHED | {"fetch_main": {"1": "done", "2": "running"}},
        BOTH,
        "failed",
        [("api-fetch", "main 2 1"), ("data-combine", "other 2")],
        ["main"],
    ),
    (
        "failed before its first page",
        {"fetch_main": {"1": "waiting"}, "fetch_other": {"1": "waiting"}},
        {},
        "failed",
        [("api-fetch", "main 1 1"), ("api-fetch", "other 1 1")],
        [],
    ),
    (
        "fetched, combine's message lost",
        FETCHED,
        BOTH,
        "running",
        [("data-combine", "main 1"), ("data-combine", "other 2")],
        [],
    ),
    (
        "one combined, the other's worker died",
        FETCHED | {"combine": {"main": "done", "other": "running"}},
        BOTH,
        "running",
        [("data-combine", "other 2")],
        [],
    ),
    (
        "pages disagree about their columns",
        FETCHED | {"combine": {"main": "done", "other": "running"}},
        BOTH,
        "failed",
        [("api-fetch", "other 3 1")],
        ["other"],
    ),
    ("not joined", COMBINED, BOTH, "failed", [("cross-reference", "")], []),
    (
        "not prepared",
        COMBINED | {"cross_reference": {"1": "done"}, "prepare": {"1": "running"}},
        BOTH,
        "failed",
        [("update-prep", "")],
        [],
    ),
    (
        "batches open",
        PREPARED | {"update": {"0": "done", "1": "running", "2": "failed", "3": "waiting"}},
        BOTH,
        "parked",
        [("alma-update", "1"), ("alma-update", "2"), ("alma-update", "3")],
        [],
    ),
    (
        "updated, nobody told",
        PREPARED | {"update": {"0": "done"}, "notify": {"1": "waiting"}},
        BOTH,
        "running",
        [("report-email", "")],
        [],
    ),
    (
        "updated, told in vain",
        PREPARED | {"update": {"0": "done"}, "notify": {"1": "failed"}},
        BOTH,
        "running",
        [("report-email", "")],
        [],
    ),
]


@pytest.mark.parametrize(
    ("stages", "cursors", "state", "messages", "anew"), [one[1:] for one in PLACES], ids=[one[0] for one in PLACES]
)
def test_a_run_goes_on_where_it_stands(
    stages: dict[str, dict[str, str]], cursors: Any, state: str, messages: list[Any], anew: list[str]
) -> None:
    made = plan(run(state), *standing(**stages), cursors)
    assert said(made) == messages
    assert [again.anew for again in made.messages if again.anew] == anew
    assert all(again.name.endswith("/retry-1") for again in made.messages)


def test_a_job_with_one_report_and_no_rule_ends_after_its_dataset() -> None:
    stages = {"fetch_main": PAGES, "combine": {"main": "done"}}
    assert said(plan(single("running"), *standing(**stages), {"main": Cursor(1, 4)})) == [("report-email", "")]


def test_failed_batches_wait_again_and_the_people_hear_of_the_end() -> None:
    stages = PREPARED | {"update": {"0": "done", "1": "failed"}, "notify": {"1": "done"}}
    made = plan(run(), *standing(**stages), BOTH)
    assert (made.reopen, made.forget) == (["update"], ["notify"])


def test_what_is_done_or_cleaned_up_is_not_gone_on_with() -> None:
    with pytest.raises(NotResumable, match="a new run of j touches only what is not done"):
        plan(run("done"), *standing(**PREPARED), BOTH)
    with pytest.raises(NotResumable, match="cleaned up; begin a new run of j"):
        plan(run(), *standing(**COMBINED, clean_up={"1": "waiting"}), BOTH)
    everything = PREPARED | {"update": {"0": "done"}, "notify": {"1": "done"}}
    with pytest.raises(NotResumable, match="nothing of it is left to do"):
        plan(run("running"), *standing(**everything), BOTH)


def test_batches_go_on_after_the_clean_up_as_they_need_no_blobs() -> None:
    stages = PREPARED | {"update": {"0": "waiting"}, "clean_up": {"1": "waiting"}}
    assert said(plan(run(), *standing(**stages), BOTH)) == [("alma-update", "0")]
