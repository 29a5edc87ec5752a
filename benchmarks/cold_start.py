"""Cold start of the log_ingest package: interpreter start to functions indexed and clients made, bytecode warm.

Peers in the same run: the bare interpreter (the machine's limit) and one that only imports the libraries inside.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Bench, in_turn, machine
from components.packaging.archive import unpack
from components.packaging.builder import build
from localcloud.offline.packages import package_plans

SETTINGS = {
    "AZURE_CLIENT_ID": "00000000-0000-0000-0000-000000000001",
    "SOURCE_QUEUE_URL": "https://127.0.0.1:1/123456789012/queue",
    "SOURCE_ROLE_ARN": "arn:aws:iam::123456789012:role/ingest",
    "SOURCE_REGION": "eu-central-1",
    "SOURCE_AUDIENCE": "api://millrace",
    "PROGRESS_URL": "https://127.0.0.1:1/account/progress",
    "FAILED_URL": "https://127.0.0.1:1/account/failed",
    "TABLE_ENDPOINT": "https://127.0.0.1:1",
    "TABLE_RULE_ID": "dcr-1",
    "TABLE_STREAM": "Custom-Code42Logs_CL",
    "INGEST_SCHEDULE": "0 */30 * * * *",
    "IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi/token",
    "IDENTITY_HEADER": "none",
}
"""Connecting contacts nobody: addresses need only look right."""


def run(root: Path, rounds: int) -> Bench:
    """Start the three kinds of process in turn, `rounds` times each."""
    plan = next(one for one in package_plans(root, "local") if one.app == "log-ingest")
    with tempfile.TemporaryDirectory() as folder:
        built = build(plan, root / ".millrace" / "packages", progress=lambda _message: None)
        package = unpack(built.path, Path(folder) / "package")
        paths = [str(package), str(package / ".python_packages/lib/site-packages")]
        head = f"import sys; sys.path[:0] = {paths!r}; "
        codes = {
            "bare interpreter": "pass",
            "imports of the libraries": head + "import azure.functions, boto3, urllib3, msgspec",
            "cold start: indexed, clients made": head + "import function_app; function_app.app.get_functions()",
        }
        # The lap that only warms up writes the bytecode.
        rows = in_turn({name: partial(_python, code, package) for name, code in codes.items()}, rounds)
    return Bench(
        name="cold_start",
        machine=machine(),
        rounds=rounds,
        rows=rows,
        ratios={"cold start / imports alone": round(rows[2].figure / rows[1].figure, 2)},
    )


def _python(code: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-I", "-S", "-c", code], env=SETTINGS, cwd=folder, check=True, capture_output=True)
