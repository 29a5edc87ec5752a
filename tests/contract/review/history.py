"""A copy of the project with a history of its own: a commit on main, then whatever a test changes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "tests", "benchmarks", "docs")
SYSTEM = Path("stacks/log_ingest.py")
WORKER = '    worker = FunctionWorker(\n        "log-ingest",'
EXTRAS = """\
    Container("archive", ContainerArgs(account=data), opts=system.child)
    Queue("late", QueueArgs(account=data, consumer="operator"), opts=system.child)
    kept = Queue("kept", QueueArgs(account=data, consumer="operator"), opts=system.child)
"""


class History:
    """The copy; its main holds the project and three things more: a container and two queues that a branch may drop."""

    def __init__(self, root: Path) -> None:
        self.root = shutil.copytree(ROOT, root, ignore=LEFT_OUT)
        (root / ".venv").symlink_to(Path(sys.prefix))
        (root / ".gitignore").write_text(".venv\n__pycache__/\n")
        self.edit(SYSTEM, WORKER, EXTRAS + WORKER)
        self.edit(
            SYSTEM,
            "from components.system import System",
            "from components.storage.queue import Queue, QueueArgs\nfrom components.system import System",
        )
        for stack in ("dev", "prod"):  # one system: what is written about a change stays short
            self.edit(Path(f"Pulumi.{stack}.yaml"), "    - alma_analytics\n", "")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("the project")

    def edit(self, file: Path, old: str, new: str) -> None:
        """Replace what must be there."""
        text = (self.root / file).read_text()
        assert old in text, f"{file} no longer has: {old}"
        (self.root / file).write_text(text.replace(old, new))

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        """A branch from main, with nothing left of an earlier one."""
        self.git("checkout", "--quiet", "--force", "-B", name, "main")

    def git(self, *arguments: str) -> str:
        """As nobody in particular, with nobody's own settings."""
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _NOBODY.items()}
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


_NOBODY = {"NAME": "nobody", "EMAIL": "nobody@example.com"}


def settled(comment: str) -> str:
    """A comment without what every change of the project changes: commits, package digests, the worker's settings."""
    comment = re.sub(r"supplied are [^)]*", "supplied are …", comment)
    return re.sub(r"`[0-9a-f]{8,64}`", "`<digest>`", comment)
