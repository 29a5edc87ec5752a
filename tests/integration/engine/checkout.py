"""A copy of this project in a folder of its own, with its own local cloud, and Pulumi's command line beside it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from localcloud.session.pulumi_record import mend

ROOT = Path(__file__).resolve().parents[3]
COPIED = ("cli", "components", "core", "handlers", "stacks", "localcloud")
FILES = ("__main__.py", "Pulumi.yaml", "Pulumi.local.yaml", "Pulumi.prod.yaml", "requirements.txt")
LIMIT_S = 110
SUBSCRIPTION, TENANT = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
REGION = "eu-central-1"


class Checkout:
    """The copy; ended with `close`."""

    def __init__(self, folder: Path) -> None:
        """Copies what a user's checkout holds; the environment is shared."""
        self.root = folder
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copy2(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(sys.prefix)
        self.environment = self._environment()

    def _environment(self) -> dict[str, str]:
        """What a shell has after `eval "$(./millrace pulumi --print-env)"`."""
        kept = ("AWS_", "AZURE_", "ARM_", "PULUMI_", "MILLRACE_", "IDENTITY_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(kept)}
        printed = "import sys; from localcloud.plugins.command import pulumi; sys.exit(pulumi([], True))"
        script = f"eval \"$({sys.executable} -c '{printed}')\"; exec env -0"
        shell = subprocess.run(
            ["sh", "-c", script], cwd=self.root, env=clean, capture_output=True, text=True, check=True, timeout=LIMIT_S
        )
        assert "MILLRACE LOCAL CLOUD" in shell.stderr
        return dict(line.split("=", 1) for line in shell.stdout.split("\0") if "=" in line)

    def pulumi(self, *args: str, folder: Path | None = None, fails: bool = False) -> str:
        """Run Pulumi in the folder (the project's own by default); answers what it said."""
        done = subprocess.run(
            ["pulumi", *args, "--non-interactive", "--color=never"],
            cwd=folder or self.root, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=LIMIT_S,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, said
        return done.stdout if "--json" in args else said

    @property
    def home(self) -> Path:
        """Where the local stack keeps everything."""
        return self.root / ".millrace" / "local"

    def millrace(self, *args: str, stack: str = "local") -> str:
        """`./millrace …` of the copy; answers its stdout."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", *args],
            cwd=self.root, env={**self.environment, "MILLRACE_STACK": stack}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def left(self, stack: str) -> list[str]:
        """Ids of all that exists in a stack's local cloud."""
        return sorted(one["id"] for one in json.loads(self.millrace("status", "--json", stack=stack))["resources"])

    def stop(self) -> None:
        """End every local cloud of the copy."""
        for home in sorted(self.root.glob(".millrace/*/supervisor.lock")):
            ending = (
                "import pathlib, sys, localcloud.session.local as it; it.LocalStack(pathlib.Path(), sys.argv[1]).stop()"
            )
            command = [sys.executable, "-c", ending, home.parent.name]
            subprocess.run(command, cwd=self.root, check=True, timeout=LIMIT_S)


class Tiny:
    """One stack of the tiny program, in a folder of its own within the copy."""

    def __init__(
        self,
        checkout: Checkout,
        stack: str,
        *,
        program: str = "tiny_program.py",
        example: str = "",
        **settings: object,
    ) -> None:
        """`settings` are the program's own, beside the local tenancy; `example` is a folder of ours that holds one."""
        self.checkout, self.stack = checkout, stack
        self.folder = checkout.root / f"tiny-{stack}"
        self.folder.mkdir()
        (self.folder / "Pulumi.yaml").write_text("name: tiny\nruntime:\n  name: python\n")
        here = Path(__file__).parent
        shutil.copy2(ROOT / example / "__main__.py" if example else here / program, self.folder / "__main__.py")
        shutil.copy2(here / "wallclock.py", self.folder / "wallclock.py")
        local = {"azure-native:subscriptionId": SUBSCRIPTION, "azure-native:tenantId": TENANT, "aws:region": REGION}
        config = {**local, **{f"tiny:{key}": value for key, value in settings.items()}}
        # JSON is YAML.
        (self.folder / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": config}))
        self.run("stack", "init")
        self.run("config", "set", "--secret", "key", "a-key-that-nobody-may-read")

    def set(self, key: str, value: object) -> None:
        """One setting of the stack."""
        if isinstance(value, dict):
            for inner, flag in value.items():
                self.run("config", "set", "--path", f"{key}.{inner}", json.dumps(flag))
        else:
            self.run("config", "set", key, str(value))

    def run(self, *args: str, fails: bool = False) -> str:
        """Run Pulumi on this stack."""
        return self.checkout.pulumi(*args, "--stack", self.stack, folder=self.folder, fails=fails)

    def mend(self) -> None:
        """As `./millrace pulumi` does: Pulumi writes its record in place, and a kill leaves half of it and a backup."""
        for record in self.checkout.root.glob(f".millrace/*/pulumi/backend/.pulumi/stacks/*/{self.stack}.json"):
            mend(record)

    def up(self, *more: str, fails: bool = False) -> str:
        """Apply without asking."""
        return self.run("up", "--yes", "--skip-preview", *more, fails=fails)

    def steps(self, *more: str) -> dict[str, dict[str, Any]]:
        """What a preview would do, but for what stays the same or is only read: name and type → step."""
        preview = json.loads(self.run("preview", "--json", *more))
        return {
            f"{step['urn'].split('::')[-1]} {step['urn'].split('::')[2].rsplit('$')[-1]}": step
            for step in preview["steps"]
            if step["op"] not in ("same", "read")
        }

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        answer: dict[str, Any] = json.loads(self.run("stack", "output", "--json", "--show-secrets"))
        return answer
