"""`./millrace chaos`: what it takes, and that a failed seed is an exit code and the command that replays it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import localcloud.session.chaos
from cli.app import main
from localcloud.session.chaos_report import CampaignReport, RunReport, added_up


def _run(seed: int, *wrong: str) -> RunReport:
    return RunReport(
        seed=seed, schedule="storm", fired={"cut": 3}, rounds=1, seconds=1.0, notes=[], wrong=list(wrong),
        counts={"files": 22, "rows_in": 10, "rows_out": 10 - len(wrong), "lost": len(wrong)},
        replay=f"./millrace chaos log_ingest --schedule storm --seed {seed} --runs 1",
    )  # fmt: skip


def _millrace(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["millrace", "chaos", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("wrong", [(), ("lost: a #1",)])
def test_a_lost_record_is_exit_1_and_names_its_replay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: tuple[str, ...]
) -> None:
    asked: dict[str, Any] = {}

    def campaign(_root: Path, system: str, **more: Any) -> CampaignReport:
        asked.update(more, system=system)
        runs = [_run(5), _run(6, *wrong)]
        for run in runs:
            more["on_run"](run)
        return added_up(system, runs, 2.0)

    monkeypatch.setattr(localcloud.session.chaos, "run_campaign", campaign)
    code = _millrace(monkeypatch, "log_ingest", "--seed", "5", "--runs", "2", "--schedule", "storm", "--json")
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (code, report["counts"]["lost"], report["failed"]) == (len(wrong), len(wrong), [6] if wrong else [])
    assert (report["fired"], report["counts"]["rows_in"]) == ({"cut": 6}, 20)
    assert ("./millrace chaos log_ingest --schedule storm --seed 6 --runs 1" in err) == bool(wrong)
    assert (asked["system"], list(asked["seeds"]), [one.name for one in asked["schedules"]]) == (
        "log_ingest",
        [5, 6],
        ["storm"],
    )


def test_wrong_usage_says_what_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert _millrace(monkeypatch, "nothing_of_ours") == 1
    assert "system must be one of log_ingest" in capsys.readouterr().err
    assert _millrace(monkeypatch, "log_ingest", "--schedule", "sunshine") == 2
    assert "upload-refused-25th" in capsys.readouterr().err
    (tmp_path / "odd.yaml").write_text("- {name: odd, faults: [{kind: cut, service: s3}]}")
    assert _millrace(monkeypatch, "log_ingest", "--schedule", str(tmp_path / "odd.yaml")) == 1
    assert "rate or every must be set" in capsys.readouterr().err
    assert _millrace(monkeypatch, "log_ingest", "--on") == 2
    assert "name it with --schedule" in capsys.readouterr().err
    assert _millrace(monkeypatch, "service_bus", "--schedule", "storm", "--on") == 2
    assert "systems on the local cloud" in capsys.readouterr().err


def test_the_schedules_of_the_emulator_can_be_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _millrace(monkeypatch, "service_bus", "--list", "--json") == 0
    assert {"broker-killed-while-sending", "storm"} <= {one["name"] for one in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize("system", ["log_ingest", "alma_analytics"])
def test_the_schedules_can_be_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], system: str
) -> None:
    assert _millrace(monkeypatch, system, "--list", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) >= 20
