"""What Pulumi's dynamic resources run in, here: the SDK's own provider process, as the local deployer.

`python -m localcloud.engine.plugin_dynamic ENGINE_ADDRESS` finds the local cloud, gives the process its identity and
its CA, takes away every credential of a real cloud, and becomes `python -u -m pulumi.dynamic` of the project's Python.
"""

import os
import sys
from pathlib import Path

from localcloud.engine import plugin_guard
from localcloud.local import deployer_environment
from localcloud.shapes import Access

FOREIGN = ("AWS_", "AZURE_", "ARM_", "IDENTITY_", "MSI_")


def main() -> None:
    """Replace this process."""
    access = plugin_guard.named_stack().ensure(plugin_guard.quiet).call("GET", "/access", None, Access)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environment.update(deployer_environment(access))
    # Another project's program may use our components: their providers are pickled by name and must be importable.
    path = [str(plugin_guard.ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    python = _python()
    os.execve(python, [python, "-u", "-m", "pulumi.dynamic", *sys.argv[1:]], environment)  # noqa: S606  this process becomes the other


def _python() -> str:
    """The project's own Python (the engine hands its `virtualenv` option over as a variable), else this one."""
    named = os.environ.get("PULUMI_RUNTIME_VIRTUALENV")
    if named:
        python = Path.cwd() / named / "bin" / "python"
        if os.access(python, os.X_OK):
            return str(python)
    return sys.executable


if __name__ == "__main__":
    main()
