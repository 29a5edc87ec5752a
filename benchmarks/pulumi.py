"""Pulumi on the local cloud: the program alone, a preview, and the real engine's second `up` beside bare resources.

Needs the local cloud and Pulumi's command line (`./millrace pulumi version` builds it once). What it is compared with
is another program of as many resources that do nothing, on the same engine, in turn with ours.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import Bench, Figure, figure, in_turn, machine
from localcloud.plugins.command import environment, prepare
from localcloud.plugins.pulumi_cli.find import find_cli
from localcloud.session.local import LocalCloudError, LocalStack

STACK, BARE = "local", "bare"
LIMIT_S = 300
UP = ("up", "--yes", "--skip-preview", "--non-interactive", "--color=never")
NOTHING = """\
from pulumi.dynamic import CreateResult, Resource, ResourceProvider


class Nothing(ResourceProvider):
    serialize_as_secret_always = False

    def create(self, props):
        return CreateResult("nothing", props)


class Noop(Resource, module="bare", name="Noop"):
    def __init__(self, name):
        super().__init__(Nothing(), name, {"name": name})
"""
ALONE = """\
import sys
from pathlib import Path
from benchmarks.prompt_cloud import PromptCloud
from localcloud.engine.config import load_program
from localcloud.engine.embedded import run
from localcloud.session.local import tenancy_of
program = load_program(Path(sys.argv[1]), "local")
run(program, cloud=PromptCloud(tenancy_of(program)), preview=True)
"""
PLAN = """\
import sys, time
from pathlib import Path
from components.workers import function_worker
from localcloud.offline.previewing import preview_stack
real, took = function_worker.plan_package, []
def timed(*args, **more):
    began = time.perf_counter()
    made = real(*args, **more)
    took.append(time.perf_counter() - began)
    return made
function_worker.plan_package = timed
preview_stack(Path(sys.argv[1]), "local")
print(sum(took))
"""


def run(root: Path, rounds: int) -> Bench:
    """Every kind of work in turn, `rounds` times; the stack is brought up first, so that each `up` changes nothing."""
    cli = find_cli()
    if cli is None:
        raise LocalCloudError("bench pulumi needs Pulumi's command line; run: ./millrace pulumi version")
    LocalStack(root, STACK).ensure(lambda _note: None)
    prepare(cli, STACK, root)
    ours = partial(_pulumi, cli, root, root, STACK)
    ours(*UP)
    count = _count(ours)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = partial(_pulumi, cli, root, folder, BARE)
        _bare_program(folder, count)
        bare("stack", "select", "--create")  # one that was left by a bench that was killed will do
        try:
            bare(*UP)
            rows = _measure(root, rounds, lambda: ours(*UP), lambda: bare(*UP), count)
            bare("destroy", *UP[1:])
        finally:
            bare("stack", "rm", "--force", "--yes")
    return Bench(name="pulumi", machine=machine(), rounds=rounds, rows=rows, ratios=_ratios(rows))


def _measure(
    root: Path, rounds: int, ours: Callable[[], object], bare: Callable[[], object], count: int
) -> list[Figure]:
    shell = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    python = partial(subprocess.run, cwd=root, env=shell, check=True, capture_output=True, timeout=LIMIT_S)
    cpu: dict[str, list[float]] = {"second up, CPU": [], "bare, CPU": []}
    kinds: dict[str, Callable[[], object]] = {
        f"second up of {count} resources": partial(_counted, cpu["second up, CPU"], ours),
        f"second up of {count} bare no-ops": partial(_counted, cpu["bare, CPU"], bare),
        "program alone (imports, registrations answered at once)": partial(
            python, [sys.executable, "-c", ALONE, str(root)]
        ),
        "./millrace preview": partial(python, [str(root / "millrace"), "preview", "--json"]),
    }
    rows = in_turn(kinds, rounds)
    rows += [figure(what, took[1:]) for what, took in cpu.items()]  # the first lap only warms up
    planned = [float(python([sys.executable, "-c", PLAN, str(root)]).stdout) for _ in range(rounds)]
    return [*rows, figure("unchanged packages checked", planned)]


def _ratios(rows: list[Figure]) -> dict[str, float]:
    up, bare, _alone, _preview, up_cpu, bare_cpu, _packages = (row.figure for row in rows)
    return {"second up / bare": round(up / bare, 2), "second up / bare, CPU": round(up_cpu / bare_cpu, 2)}


def _counted(cpu: list[float], work: Callable[[], object]) -> None:
    """Do it, and keep the CPU seconds of whatever it started and waited for."""
    before = os.times()
    work()
    after = os.times()
    cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)


def _count(ours: Callable[..., str]) -> int:
    resources = json.loads(ours("stack", "export"))["deployment"]["resources"]
    return sum(1 for one in resources if not one["type"].startswith("pulumi:p"))  # neither providers nor the stack


def _bare_program(folder: Path, count: int) -> None:
    (folder / "Pulumi.yaml").write_text("name: bare\nruntime: python\n")
    (folder / f"Pulumi.{BARE}.yaml").write_text("config: {}\n")
    (folder / "noop.py").write_text(NOTHING)
    (folder / "__main__.py").write_text(f"from noop import Noop\n\nfor n in range({count}):\n    Noop(f'n{{n}}')\n")


def _pulumi(cli: Path, root: Path, folder: Path, stack: str, *args: str) -> str:
    done = subprocess.run(
        [str(cli), *args, "--stack", stack],
        cwd=folder, env={**os.environ, **environment(root)}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=LIMIT_S,
    )  # fmt: skip
    if done.returncode:
        raise LocalCloudError(f"pulumi {' '.join(args)}: {(done.stdout + done.stderr).strip()[-1_500:]}")
    return done.stdout
