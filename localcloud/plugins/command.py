"""The real Pulumi on this project's local cloud: finds its command line, sets its surroundings up, hands over.

What it passes on is plain Pulumi. All it keeps lies under `.millrace/<stack>/pulumi/`; a stack's own settings file
stays as it is. `print_env` gives a shell the same surroundings for a person's own `pulumi`.
"""

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from localcloud.plugins.guard import DEFAULT_STACK, ROOT, STACK_VARIABLE, is_local
from localcloud.plugins.pulumi_cli.find import cached_cli, find_cli, require_cli
from localcloud.session.local import LocalCloudError, LocalStack
from localcloud.session.pulumi_record import checkpoint, mend, unlock

BIN = Path(__file__).resolve().parent / "bin"
PASSPHRASE = "millrace-local"  # noqa: S105  belongs to the salt in Pulumi.local.yaml; protects nothing that is not local
OPERATIONS = {"up", "update", "preview", "pre", "refresh", "destroy", "dn", "down", "import", "watch"}
"""Commands that reach the local cloud; every other one (stack, config, state, about …) reads and writes files only."""
WITH_VALUE = ("--stack", "-s", "--cwd", "-C", "--color", "--verbose", "-v", "--tracing", "--profiling")
"""Flags that may stand before the command and take the next word."""
UNSET = ("PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_IGNORE_AMBIENT_PLUGINS")


def pulumi(args: list[str], print_env: bool = False, *, root: Path = ROOT) -> int:
    """Run Pulumi's command line with `args`; answers its exit code. Refuses stacks that are not local."""
    stack = _named_stack(args) or _selected_stack(root) or os.environ.get(STACK_VARIABLE) or DEFAULT_STACK
    if is_local(stack, root):
        os.environ[STACK_VARIABLE] = stack  # its record lies with its data: `reset` forgets both, and nobody else's
    if print_env:
        sys.stdout.write(exports(environment(root)))
        return 0
    if _command(args) not in OPERATIONS or {"--help", "-h"} & set(args):
        return _run([str(require_cli(_say)), *args], root)
    if not is_local(stack, root):
        raise LocalCloudError(
            f"STOP: stack {stack} is not local, and `./millrace pulumi` reaches this machine's local cloud only: "
            f"nothing was done. To deploy {stack}, run `pulumi {' '.join(args)}` in a shell without the local "
            f"environment. A stack is local when its file Pulumi.{stack}.yaml has the azure-native:subscriptionId of "
            f"Pulumi.{DEFAULT_STACK}.yaml"
        )
    cli = require_cli(_say)
    LocalStack(root, stack).ensure(_say)
    prepare(cli, stack, root)
    if _command(args) not in ("preview", "pre"):
        LocalStack(root, stack).engine_runs("pulumi")
    _say(f"MILLRACE LOCAL CLOUD, stack {stack}: nothing here reaches Azure or AWS")
    return _run([str(cli), *args], root)


def prepare(cli: Path, stack: str, root: Path) -> None:
    """Make Pulumi's stack if it does not exist yet; mend what a killed run left: half a record, a lock."""
    if mend(_state_file(root, stack)):
        _say("Pulumi's record was cut off by a run that was killed: went back to its backup")
    project = LocalStack(root, DEFAULT_STACK).program().project
    if unlock(_home(root).parent, project, stack):
        _say("a run that was killed had locked the stack: took its lock away")
    if not _state_file(root, stack).exists():
        _make_stack(cli, stack, root, select=_selected_stack(root) is None)


def environment(root: Path = ROOT) -> dict[str, str]:
    """What Pulumi's command line needs around it; also what `--print-env` prints."""
    home = _home(root)
    for folder in (home, home / "backend", home / "home"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = [str(BIN), *(part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part != str(BIN))]
    found = find_cli()
    if found == cached_cli():
        path.append(str(found.parent))
    return {
        "PATH": os.pathsep.join(dict.fromkeys(path)),
        "PULUMI_BACKEND_URL": f"file://{home / 'backend'}",
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        STACK_VARIABLE: os.environ.get(STACK_VARIABLE) or DEFAULT_STACK,
    }


def exports(values: dict[str, str]) -> str:
    """The environment as lines for a shell; every shell that takes them says where it deploys from now on."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    notice = "MILLRACE LOCAL CLOUD: pulumi in this shell deploys to this machine only, never to Azure or AWS"
    return "\n".join([*lines, f"unset {' '.join(UNSET)}", f"echo {shlex.quote(notice)} >&2", ""])


def _run(command: list[str], root: Path) -> int:
    """Pulumi takes the terminal: Ctrl-C is its own to answer, and we wait for it."""
    values = {name: value for name, value in os.environ.items() if name not in UNSET}
    # A handler of ours, not SIG_IGN: ignoring is inherited, and Pulumi must hear Ctrl-C.
    before = signal.signal(signal.SIGINT, _leave_it_to_pulumi)
    try:
        return subprocess.run(command, cwd=root, env={**values, **environment(root)}, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _leave_it_to_pulumi(_number: int, _frame: FrameType | None) -> None:
    """Ctrl-C goes to the whole group; Pulumi has it too."""


def _make_stack(cli: Path, stack: str, root: Path, *, select: bool) -> None:
    made = subprocess.run(
        [str(cli), "stack", "init", stack, *([] if select else ["--no-select"])],
        cwd=root, env={**os.environ, **environment(root)}, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if made.returncode != 0:
        raise LocalCloudError(f"stack {stack} could not be made: {made.stderr.strip() or made.stdout.strip()}")


def _named_stack(args: list[str]) -> str:
    """The stack that the arguments name (`--stack X`, `--stack=X`, `-s X`), or the environment's."""
    for position, arg in enumerate(args):
        if arg in ("--stack", "-s") and position + 1 < len(args):
            return _short(args[position + 1])
        if arg.startswith("--stack="):
            return _short(arg.partition("=")[2])
        if arg.startswith("-s") and not arg.startswith("--") and len(arg) > 2:
            return _short(arg[2:].removeprefix("="))
    return _short(os.environ.get("PULUMI_STACK", ""))


def _command(args: list[str]) -> str:
    """The first word that is neither a flag nor a flag's value."""
    words = iter(args)
    for word in words:
        if word in WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _selected_stack(root: Path) -> str | None:
    """What `pulumi stack select` chose, as Pulumi keeps it (by the digest of the project file's path)."""
    project = root / "Pulumi.yaml"
    # Pulumi's own name for the file, no protection of anything.
    digest = hashlib.sha1(str(project).encode(), usedforsecurity=False).hexdigest()
    folder = _home(root) / "home" / "workspaces"
    for file in folder.glob(f"*-{digest}-workspace.json"):
        try:
            chosen = json.loads(file.read_text())
        except (OSError, json.JSONDecodeError):
            return None
        return _short(next(iter((chosen.get("stacks") or {}).values()), chosen.get("stack") or "")) or None
    return None


def _short(stack: str) -> str:
    """`organization/project/stack` as Pulumi may write it, the stack alone."""
    return stack.rsplit("/", 1)[-1]


def _state_file(root: Path, stack: str) -> Path:
    return checkpoint(_home(root).parent, LocalStack(root, DEFAULT_STACK).program().project, stack)


def _home(root: Path) -> Path:
    """With the local data it speaks of: `reset` forgets both."""
    return root / ".millrace" / (os.environ.get(STACK_VARIABLE) or DEFAULT_STACK) / "pulumi"


def _say(message: str) -> None:
    sys.stderr.write(f"millrace: {message}\n")
    sys.stderr.flush()
