"""Parquet by pyarrow or by polars: what each weighs in a package, and what its import costs a cold start."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.measure import Bench, Figure, figure, laps, machine
from benchmarks.reports.joining import POLARS, installed

PYARROW = "pyarrow"
IMPORTS = {PYARROW: "import pyarrow, pyarrow.parquet, pyarrow.compute", "polars": "import polars"}
_MB = 1_000_000
_PROBE = """
import json, time
began, cpu = time.perf_counter(), time.process_time()
{imports}
took, cpu = time.perf_counter() - began, time.process_time() - cpu
rss = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(json.dumps([took, cpu, rss / 1024]))
"""


def run(root: Path, rounds: int) -> Bench:
    """Sizes once; imports in turn."""
    pin = next(line for line in (root / "handlers/requirements.in").read_text().split() if line.startswith("pyarrow=="))
    folders = {PYARROW: installed(root, pin), "polars": installed(root, POLARS)}
    runs = laps({name: _probe(name, folder) for name, folder in folders.items()}, rounds)
    rows: list[Figure] = []
    for name, folder in folders.items():
        unpacked, zipped = _sizes(folder)
        probes = list(zip(*runs[name], strict=True))
        rows += [
            figure(f"{name}: unpacked", [unpacked], "MB"),
            figure(f"{name}: zipped", [zipped], "MB"),
            figure(f"{name}: import", probes[0], "s"),
            figure(f"{name}: import, processor", probes[1], "s"),
            figure(f"{name}: memory after import", probes[2], "MB"),
        ]
    ours, theirs = ([row.figure for row in rows if row.what.startswith(name)] for name in folders)
    columns = ("unpacked", "zipped", "import", "import, processor", "memory")
    ratios = {
        f"{column}: pyarrow / polars": round(one / two, 2)
        for column, one, two in zip(columns, ours, theirs, strict=True)
    }
    return Bench(name="parquet", machine=machine(), rounds=rounds, rows=rows, ratios=ratios)


def _probe(name: str, folder: Path) -> "Probe":
    return Probe(_PROBE.format(imports=IMPORTS[name]), folder)


class Probe:
    """An import in a bare interpreter."""

    def __init__(self, code: str, folder: Path) -> None:
        self._command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(folder)!r}){code}"]

    def __call__(self) -> list[float]:
        """Seconds, processor seconds, MB."""
        out = subprocess.run(self._command, check=True, capture_output=True).stdout
        return msgspec.json.decode(out, type=list[float])


def _sizes(folder: Path) -> tuple[float, float]:
    """Unpacked and zipped, without bytecode."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "copy"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        archive = Path(shutil.make_archive(f"{place}/package", "zip", copy))
        return sum(path.stat().st_size for path in files) / _MB, archive.stat().st_size / _MB
