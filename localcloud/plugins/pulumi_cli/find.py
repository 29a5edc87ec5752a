"""Pulumi's command line: the one on PATH, else one built before, else built once from pinned Go modules.

`go.mod` and `go.sum` beside this file pin every module by hash and name no proxy: Go uses the one it is set up for. The
result lies in the user's cache folder, named by the pins' own digest; two builds at once do the work once.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.session.local import LocalCloudError

PINS = Path(__file__).parent
VERSION = "v3.259.0"
OLDEST = (3, 200)
"""The oldest release on PATH that will do: older ones lack parts of the protocol that the plugins are asked with."""
MODULE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_FLAG = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={VERSION}"
PACKAGES = 1_700  # compiled by a first build, roughly: only the progress line's "of about"
ASK_S = 20
INSTALL = (
    "Pulumi's command line is needed: install version 3.200 or later (see https://www.pulumi.com/docs/install/) so "
    "that `pulumi version` works; or install Go 1.25 or later (see https://go.dev/doc/install) and run this again: "
    "then it is built once, in about 5 minutes"
)

Say = Callable[[str], None]


class PulumiCliError(LocalCloudError):
    """No command line could be had; the message says what to install."""


def cached_cli() -> Path:
    """Where the built one lies (or will lie): `$XDG_CACHE_HOME/millrace/pulumi-<digest>/pulumi`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(VERSION_FLAG.encode())
    for name in ("go.mod", "go.sum"):
        digest.update((PINS / name).read_bytes())
    return cache / "millrace" / f"pulumi-{digest.hexdigest()[:12]}" / "pulumi"


def find_cli() -> Path | None:
    """The one on PATH if it is recent enough, else the cached one; None when one would have to be built."""
    on_path = shutil.which("pulumi")
    if on_path and _version(on_path) >= OLDEST:
        return Path(on_path)
    cached = cached_cli()
    return cached if os.access(cached, os.X_OK) else None


def require_cli(say: Say) -> Path:
    """As `find_cli`, and built if there is none; raises `PulumiCliError` when that cannot be."""
    found = find_cli()
    if found:
        return found
    go = shutil.which("go")
    if go is None:
        raise PulumiCliError(INSTALL)
    target = cached_cli()
    with _alone(target.parent, say):
        if not os.access(target, os.X_OK):
            _build(go, target, say)
    return target


def _version(command: str) -> tuple[int, ...]:
    """The release of a command line, (0,) when it cannot say."""
    try:
        asked = subprocess.run(
            [command, "version"], capture_output=True, text=True, timeout=ASK_S, check=True, stdin=subprocess.DEVNULL,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return (0,)
    match = re.match(r"v?(\d+)\.(\d+)", asked.stdout.strip())
    return (int(match[1]), int(match[2])) if match else (0,)


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Hold the cache folder: a second build waits for the first and finds its result."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "building.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is building Pulumi's command line; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(go: str, target: Path, say: Say) -> None:
    say(f"building Pulumi's command line {VERSION} from its Go modules, once (about 5 minutes, 115 MB)")
    with tempfile.TemporaryDirectory(prefix="build-", dir=target.parent) as folder:
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(PINS / name, Path(folder) / name)
        built = Path(folder) / "pulumi"
        command = [go, "build", "-v", "-mod=readonly", "-ldflags", VERSION_FLAG, "-o", str(built), MODULE]
        with subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "GOFLAGS": "", "GOWORK": "off"},
        ) as process:  # fmt: skip
            tail = _follow(process, say)
        if process.returncode != 0:
            raise PulumiCliError(
                f"building Pulumi's command line failed ({go} build, exit {process.returncode}):\n{tail}\n{INSTALL}"
            )
        built.rename(target)
    say("Pulumi's command line is built")


def _follow(process: "subprocess.Popen[str]", say: Say) -> str:
    """Tell how far the build is; answers its last lines. Ends the build if whoever waits for it is interrupted."""
    lines: list[str] = []
    compiled = 0
    try:
        for line in process.stderr or ():
            lines = [*lines[-9:], line.rstrip()]
            if line.startswith("go: downloading"):
                say(line.strip().removeprefix("go: "))
            else:
                compiled += 1
                if compiled % 50 == 0:
                    say(f"compiled {compiled} of about {PACKAGES} packages")
    except BaseException:
        process.terminate()
        raise
    return "\n".join(lines)
