"""What a change does to every stack, offline: this tree and the one it is compared with, previewed side by side.

Each tree is previewed by a process of its own, since both bring modules of the same names. Nothing is contacted and
nothing is built; the other tree lives in a temporary folder for as long as that takes.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from localcloud.engine.config import ConfigError
from localcloud.review.base import Base, extract, find_base
from localcloud.review.compare import compare
from localcloud.review.shapes import StackReview, StackSide
from localcloud.review.text import comment
from localcloud.session.local import LocalCloudError

SNAPSHOT = Path(__file__).with_name("snapshot.py")
LOOK_S = 0.2
LIMIT_S = 300  # seconds for all previews of one tree
FOREIGN = ("AWS_", "AZURE_", "ARM_", "PULUMI_", "IDENTITY_", "PYTHON")

Sides = dict[str, StackSide]


class Review(msgspec.Struct, kw_only=True):
    """The whole review; `markdown` is the comment."""

    base: Base
    stacks: list[StackReview]
    markdown: str
    refused: bool
    """Whether a preview of this tree was refused: the program, as it is now, would not go up."""


def review(
    root: Path, *, base: str | None = None, stacks: list[str] | None = None, look: Callable[[], None] = lambda: None
) -> Review:
    """Compare the working tree in `root` with a commit, for these stacks (all by default); raises LocalCloudError.

    `look` is called every `LOOK_S` while previews run; what it raises ends them.
    """
    found = find_base(root, base)
    with tempfile.TemporaryDirectory(prefix="millrace-review-") as temporary:
        folder = Path(temporary)
        extract(root, found, folder / "tree")
        old, new = _sides([folder / "tree", root], stacks, folder, look)
    _all_known(stacks, old, new)
    reviews = [compare(stack, old.get(stack), new.get(stack)) for stack in sorted(old.keys() | new.keys())]
    return Review(
        base=found,
        stacks=reviews,
        markdown=comment(found, reviews),
        refused=any(one.state == "refused" for one in reviews),
    )


def _sides(trees: list[Path], stacks: list[str] | None, folder: Path, look: Callable[[], None]) -> list[Sides]:
    """Preview the trees at the same time. Whatever happens, no process of ours is left."""
    secret = secrets.token_hex(32)  # one for both sides: equal secrets must look equal
    running: list[tuple[subprocess.Popen[bytes], Path]] = []
    try:
        for position, tree in enumerate(trees):
            out = folder / f"side-{position}.json"
            request = {"root": str(tree), "stacks": stacks, "secret": secret, "out": str(out)}
            running.append((_start(tree, request, folder / f"side-{position}.log"), out))
        return [_finish(process, out, look) for process, out in running]
    finally:
        for process, _ in running:
            process.kill()
            process.wait()


def _start(tree: Path, request: dict[str, Any], log: Path) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    # -I: only this environment's packages and the tree itself; -B: a working tree is left as it was.
    command = [sys.executable, "-I", "-B", str(SNAPSHOT)]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=errors, stderr=errors
        )
    if process.stdin:
        process.stdin.write(msgspec.json.encode(request))
        process.stdin.close()
    return process


def _finish(process: "subprocess.Popen[bytes]", out: Path, look: Callable[[], None]) -> Sides:
    code = _await(process, look)
    if code == 0:
        return msgspec.json.decode(out.read_bytes(), type=Sides)
    tail = out.with_suffix(".log").read_text(errors="replace").strip().splitlines()[-5:]
    side = "the working tree" if out.stem.endswith("1") else "the base (is it older than ./millrace preview?)"
    raise LocalCloudError(f"review: {side} could not be previewed (exit {code}):\n  " + "\n  ".join(tail))


def _await(process: "subprocess.Popen[bytes]", look: Callable[[], None]) -> int:
    ends = time.monotonic() + LIMIT_S
    while time.monotonic() < ends:
        look()
        try:
            return process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
    raise LocalCloudError(f"review: a tree's previews must end within {LIMIT_S} s, and did not")


def _all_known(stacks: list[str] | None, old: Sides, new: Sides) -> None:
    unknown = sorted(set(stacks or ()) - old.keys() - new.keys())
    if unknown:
        raise ConfigError(
            f"review: --stack must name stacks with a settings file, got {', '.join(unknown)}; see: ls Pulumi.*.yaml"
        )
