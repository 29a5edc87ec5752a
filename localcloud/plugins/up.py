"""`up` by Pulumi's own engine: its events become our progress and our counts; what it does is plain `pulumi up`."""

import os
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from localcloud.plugins.command import environment, prepare
from localcloud.plugins.pulumi_cli.find import require_cli
from localcloud.session.local import LocalStack

STEPS = {"create": "create", "update": "update", "same": "same", "delete": "delete", "replace": "replace"}


def apply(
    stack: LocalStack, progress: Callable[[str, str], None], say: Callable[[str], None]
) -> tuple[Counter[str], list[str]]:
    """Run `pulumi up` on a running local cloud; answers custom resources counted by step, and what failed.

    `progress(step, name)` hears each resource as it ends.
    """
    cli = require_cli(say)
    prepare(cli, stack.stack, stack.root)
    stack.engine_runs("pulumi")
    command = [str(cli), "up", "--yes", "--skip-preview", "--json", "--stack", stack.stack, "--non-interactive"]
    counts: Counter[str] = Counter()
    failures: list[str] = []
    with subprocess.Popen(
        command, cwd=stack.root, env={**os.environ, **environment(stack.root)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        for line in process.stdout or ():
            if line.startswith("{"):
                _hear(msgspec.json.decode(line), counts, failures, progress)
        complaint = process.stderr.read() if process.stderr else ""
    if process.returncode and not failures:
        failures.append(complaint.strip()[-2_000:] or f"pulumi up ended with exit code {process.returncode}")
    return counts, failures


def _hear(
    event: dict[str, Any], counts: Counter[str], failures: list[str], progress: Callable[[str, str], None]
) -> None:
    if "resOutputsEvent" in event:
        metadata = event["resOutputsEvent"]["metadata"]
        state = metadata.get("new") or metadata.get("old") or {}
        step = STEPS.get(metadata["op"])
        if step and state.get("custom") and not metadata["type"].startswith("pulumi:providers:"):
            counts[step] += 1
            progress(step, metadata["urn"].rsplit("::", 1)[-1])
    diagnostic = event.get("diagnosticEvent") or {}
    if diagnostic.get("severity") == "error":
        name = str(diagnostic.get("urn", "")).rsplit("::", 1)[-1]
        failures.append(f"{name}: {diagnostic['message']}".strip(": \n"))
