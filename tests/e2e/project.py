"""A copy of the project in a temporary folder, with a local cloud of its own, driven as a user drives it."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from copy import copy
from pathlib import Path
from typing import Any

import requests
import yaml

from localcloud.control import address
from localcloud.session.local import LocalStack
from localcloud.supervisor.shapes import CloudStatus, TokenRequest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", ".millrace", "__pycache__", ".*_cache", "tests", "benchmarks")
WAIT_S = 30


class Project:
    """The copy. It uses this environment's packages (`.venv` is a link) and the user's cache, and nothing else."""

    def __init__(self, root: Path, *systems: str) -> None:
        """`systems`: those that its local stack deploys, log_ingest if none is named."""
        self.root = shutil.copytree(ROOT, root, ignore=LEFT_OUT)
        (root / ".venv").symlink_to(Path(sys.prefix))
        file = root / "Pulumi.local.yaml"
        stack = yaml.safe_load(file.read_text())
        stack["config"]["millrace:systems"] = list(systems or ["log_ingest"])
        file.write_text(yaml.safe_dump(stack))
        self.stack = LocalStack(root)
        self.home = self.stack.home

    def beside(self, stack: str) -> "Project":
        """The same copy as another local stack's user sees it: `MILLRACE_STACK=…`."""
        other = copy(self)
        other.stack = LocalStack(self.root, stack)
        other.home = other.stack.home
        return other

    def run(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """`./millrace …` with `given` on its standard input, whatever comes of it."""
        command = [str(self.root / "millrace"), *arguments]
        return subprocess.run(
            command, cwd=self.root, env={**os.environ, "MILLRACE_STACK": self.stack.stack}, input=given,
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        """`./millrace … --json`: done, and exactly one document on stdout."""
        ran = self.run(*arguments, "--json")
        assert ran.returncode == 0, ran.stdout + ran.stderr + self.log()
        return json.loads(ran.stdout)

    def up(self, *arguments: str) -> Any:
        return self.json("up", *arguments)

    def log(self) -> str:
        file = self.home / "supervisor.log"
        return file.read_text() if file.exists() else ""

    def settle(self) -> CloudStatus:
        return self.stack.wait(WAIT_S)

    def feed(self, *paths: Path) -> CloudStatus:
        """Give files to log_ingest and wait until all of it is done."""
        self.json("feed", "log_ingest", *map(str, paths))
        return self.settle()

    def rows(self, where: str = "1 = 1") -> list[list[Any]]:
        """Key, text and part of the rows in the table."""
        sql = f"select Key, Raw_Data, Part from Code42Logs_CL where {where} order by 1, 2, 3"  # noqa: S608
        return self.stack.query(sql).rows

    def count(self) -> int:
        return int(self.stack.query("select count(*) from Code42Logs_CL").rows[0][0])

    def override(self, **settings: Any) -> None:
        """Change log_ingest's settings in this copy's stack file."""
        file = self.root / f"Pulumi.{self.stack.stack}.yaml"
        stack = yaml.safe_load(file.read_text())
        stack["config"]["millrace:logIngest"].update(settings)
        file.write_text(yaml.safe_dump(stack))

    def edit(self, file: str, old: str, new: str) -> None:
        """Change one place of one file of the copy."""
        text = (self.root / file).read_text()
        assert text.count(old) == 1, f"{old!r} must be in {file} once"
        (self.root / file).write_text(text.replace(old, new))

    def token(self, identity: str, audience: str) -> str:
        return self.stack.require().call("POST", "/token", TokenRequest(identity=identity, audience=audience), str)

    def worker(self) -> str:
        """The worker's identity."""
        (found,) = [one for one in self.stack.records().values() if one.type.endswith(":UserAssignedIdentity")]
        return str(found.inputs["resourceName"])

    def dead_letters(self) -> list[dict[str, Any]]:
        """Every blob of the dead-letter place, read with the worker's own right to it."""
        url = self.stack.outputs()["logIngest"]["failedUrl"]
        names = self.get(f"{url}?restype=container&comp=list").text.split("<Name>")[1:]
        return [self.get(f"{url}/{name.partition('</Name>')[0]}").json() for name in names]

    def get(self, url: str) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {self.token(self.worker(), 'https://storage.azure.com')}",
            "x-ms-version": "2024-11-04",
        }
        return requests.get(url, headers=headers, verify=self.stack.status().endpoints["ca_file"], timeout=30)

    def resources(self) -> Counter[str]:
        """Type → how many, as the last run left them."""
        return Counter(record.type for record in self.stack.records().values() if record.custom)

    def processes(self) -> set[int]:
        """The supervisor and everything that came from it."""
        found = address.read(self.home)
        return descendants(found.pid) if found else set()

    def down(self) -> None:
        self.stack.stop()
        self.stack.close()


def descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended meanwhile
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for child, parent in parents.items() if parent in new} - found
    return found


def living(pids: Iterable[int]) -> set[int]:
    """Those that still run (a zombie has ended: only its parent has not looked yet)."""
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            alive.add(pid)
    return alive


def listening(pids: set[int]) -> set[str]:
    """Local addresses (hexadecimal, as the kernel shows them) on which these processes take connections."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                addresses.add(fields[1].rpartition(":")[0])
    return addresses


def environ(pid: int, name: str) -> str:
    """What this process was given under that name; empty if nothing, or if it has ended."""
    try:
        values = dict(entry.partition("=")[::2] for entry in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    except OSError:
        return ""
    return values.get(name, "")
