"""What Pulumi's dynamic resources run in, here: the SDK's own provider process, as the local deployer.

`python -m localcloud.plugins.dynamic ENGINE_ADDRESS` finds the local cloud, gives this process its identity and
its CA, takes away every credential of a real cloud, and runs `pulumi.dynamic` with the Python of the project.
"""

import os
import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.plugins import guard
from localcloud.session.local import deployer_environment
from localcloud.supervisor.shapes import Access

FOREIGN = ("AWS_", "AZURE_", "ARM_", "IDENTITY_", "MSI_")


def main() -> None:
    """Become the provider: here if the project's Python is this one (half a second less), else in its place."""
    access = guard.named_stack().ensure(guard.quiet).call("GET", "/access", None, Access)
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    os.environ.update(deployer_environment(access))
    # Another project's program may use our components: their providers are pickled by name and must be importable.
    path = [str(guard.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    environment = _project_environment()
    if environment is None or environment.resolve() == Path(sys.prefix).resolve():
        sys.path.insert(0, str(Path.cwd()))
        setattr(traceback, "format_exc", _in_own_words)  # noqa: B010  what the SDK answers when a resource's code raises
        runpy.run_module("pulumi.dynamic", run_name="__main__", alter_sys=True)
        return
    python = str(environment / "bin" / "python")
    os.execv(python, [python, "-u", "-m", "pulumi.dynamic", *sys.argv[1:]])  # noqa: S606  this process becomes it


def _in_own_words(*args: Any, _format: Callable[..., str] = traceback.format_exc) -> str:
    """Our components' refusals are sentences for people; every other error keeps the lines that led to it."""
    error = sys.exc_info()[1]
    return (
        str(error)
        if type(error).__module__.startswith(("components.packaging.", "components.data."))
        else _format(*args)
    )


def _project_environment() -> Path | None:
    """The project's virtual environment (the engine hands the option over as a variable); None without one."""
    named = os.environ.get("PULUMI_RUNTIME_VIRTUALENV")
    folder = Path.cwd() / named if named else None
    return folder if folder and os.access(folder / "bin" / "python", os.X_OK) else None


if __name__ == "__main__":
    main()
