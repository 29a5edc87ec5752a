"""The tree that a review compares with: which commit, and its files in a temporary folder."""

import io
import subprocess
import tarfile
from pathlib import Path

import msgspec

from localcloud.session.local import LocalCloudError

MAIN = ("origin/main", "main")


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What the user named (or where this branch left main), and the commit it means."""

    ref: str
    commit: str


def find_base(root: Path, ref: str | None) -> Base:
    """The commit of `ref`, as it is; without one, the commit at which this branch left main. Raises for neither."""
    if not _git(root, "rev-parse", "--git-dir"):
        raise LocalCloudError(
            f"review: the project must be a git checkout to be compared, got {root}; clone it with git"
        )
    if ref is not None:
        commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if not commit:
            raise LocalCloudError(f"review: --base must name a commit of this repository, got {ref}; see: git log")
        return Base(ref=ref, commit=commit)
    for main in MAIN:
        commit = _git(root, "merge-base", "HEAD", main)
        if commit:
            return Base(ref=main, commit=commit)
    raise LocalCloudError(
        "review: must know what to compare with, and this checkout has neither main nor origin/main in its history; "
        "name a commit: ./millrace review --base REF (a shallow checkout lacks it: git fetch --unshallow)"
    )


def extract(root: Path, base: Base, folder: Path) -> None:
    """The project's files at that commit. From git's own objects: neither the worktree nor its list is touched."""
    prefix = _git(root, "rev-parse", "--show-prefix").rstrip("/")
    tree = f"{base.commit}:{prefix}" if prefix else base.commit
    top = _git(root, "rev-parse", "--show-toplevel")  # from below it, git would look for the folder in its own subtree
    packed = subprocess.run(["git", "archive", "--format=tar", tree], cwd=top, capture_output=True, check=False)
    if packed.returncode != 0:
        raise LocalCloudError(
            f"review: the project must exist at {base.ref} ({base.commit[:8]}): {packed.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _git(root: Path, *arguments: str) -> str:
    """What git answers, "" when it refuses."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LocalCloudError("review: git must be on PATH, got none; install it") from error
    return done.stdout.strip() if done.returncode == 0 else ""
