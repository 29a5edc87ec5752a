"""A package is named by its inputs, wherever the project lies: two checkouts give one digest, an edit gives another."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.contract.previews import ROOT

FOLDERS = ("components", "core", "handlers", "localcloud", "stacks")
FILES = ("__main__.py", "Pulumi.yaml", "Pulumi.prod.yaml", "requirements.txt")
ASK = """
import sys, json
from pathlib import Path
from localcloud.offline.packages import package_plans
print(json.dumps({one.app: one.digest for one in package_plans(Path(sys.argv[1]), "prod")}))
"""


def checkout(root: Path) -> Path:
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copyfile(ROOT / name, root / name)
    return root


def digests(root: Path) -> dict[str, str]:
    """As the copy's own code says, in a process of its own."""
    command = [sys.executable, "-c", ASK, str(root)]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=100)
    assert ran.returncode == 0, ran.stderr
    return msgspec.json.decode(ran.stdout.splitlines()[-1], type=dict[str, str])


def test_two_checkouts_name_their_packages_alike_and_an_edit_renames_what_holds_it(tmp_path: Path) -> None:
    one, other = checkout(tmp_path / "one"), checkout(tmp_path / "a longer path" / "other")
    first = digests(one)
    assert first
    assert digests(other) == first
    source = other / "handlers" / "log_ingest" / "ingest.py"
    source.write_text(source.read_text() + "\n# edited\n")
    assert digests(other)["log-ingest"] != first["log-ingest"]
    source.write_text((one / "handlers" / "log_ingest" / "ingest.py").read_text())
    unused = other / "core" / "unused.py"
    unused.write_text("VALUE = 1\n")
    assert digests(other) == first
