"""The language host of the real engine: runs a Python program, with what the local cloud adds to its settings.

A CLI built from Go modules brings none. Ours runs `__main__.py` with the Python of the project's `virtualenv` (else
this one) in a process of its own, refuses stacks that are not local before anything registers, and gives the program
`managementUrl`, the one setting that only a running local cloud knows; the stack's own file stays as it is.
Protocol: proto/pulumi/language.proto of the SDK.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from localcloud.control.client import Unreachable
from localcloud.engine.provider import Refused
from localcloud.plugins import guard
from localcloud.plugins.serve import serve
from localcloud.session.local import LocalCloudError
from localcloud.supervisor.shapes import Access

PROGRAM = Path(__file__).with_name("language_program.py")
VERSION = "1.0.0"
SHOWN = 32
"""The program's exit code once it has told people itself what is wrong."""


class PythonHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs one program at a time, as the engine asks."""

    def __init__(self, engine_address: str) -> None:
        """`engine_address`: where the program logs to."""
        self._engine_address = engine_address
        self._child: subprocess.Popen[bytes] | None = None
        self._mutex = threading.Lock()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> language_pb2.LanguageHandshakeResponse:  # noqa: N802
        """Nothing to agree on."""
        del context
        self._engine_address = request.engine_address or self._engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: N802
        """Our own version."""
        del request, context
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """None to fetch: the provider plugins are on PATH."""
        del request, context
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """The older way to ask the same."""
        del request, context
        return language_pb2.GetRequiredPluginsResponse()

    def About(self, request: Any, context: grpc.ServicerContext) -> language_pb2.AboutResponse:  # noqa: N802
        """For `pulumi about`."""
        del request, context
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """The pins say them; see requirements.txt."""
        del request, context
        return language_pb2.GetProgramDependenciesResponse()

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:  # noqa: N802
        """Run the program to its end; `bail` says that people have been told already why it failed."""
        try:
            settings = _settings(request, self._engine_address)
        except (Refused, Unreachable, LocalCloudError) as error:
            return language_pb2.RunResponse(error=str(error))
        folder = Path(request.info.program_directory or request.pwd)
        child = subprocess.Popen([_python(request, folder), "-u", str(PROGRAM)], cwd=folder, stdin=subprocess.PIPE)
        with self._mutex:
            self._child = child
        context.add_callback(self._end_program)
        child.communicate(json.dumps(settings).encode())
        if child.returncode == SHOWN:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(
            error=f"the program ended with exit code {child.returncode}" if child.returncode else ""
        )

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        """End the program."""
        del request, context
        self._end_program()
        return empty_pb2.Empty()

    def _end_program(self) -> None:
        with self._mutex:
            if self._child and self._child.poll() is None:
                self._child.terminate()


def _settings(request: language_pb2.RunRequest, engine_address: str) -> dict[str, Any]:
    """What the program's process needs, in Pulumi's own words; raises `Refused` for a stack that is not local."""
    config = dict(request.config)
    subscription = {"subscriptionId": config.get("azure-native:subscriptionId")}
    home = guard.local_stack(request.project, request.stack)
    if subscription["subscriptionId"] is not None:
        guard.require_local("azure-native", request.project, request.stack, subscription, guard.tenancy(home))
        access = home.ensure(_tell).call("GET", "/access", None, Access)
        for key, value in access.settings().items():
            config[f"{request.project}:{key}"] = value  # over the project file's default: only we know where we are
    return {
        "config": config,
        "secret_keys": list(request.configSecretKeys),
        "settings": {
            "project": request.project,
            "stack": request.stack,
            "monitor": request.monitor_address,
            "engine": engine_address,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "organization": request.organization,
            "root_directory": request.info.root_directory,
        },
        "entry": request.info.entry_point or ".",
    }


def _tell(message: str) -> None:
    """What a start in the background is at; the engine shows what a language host writes."""
    sys.stderr.write(f"millrace: {message}\n")


def _python(request: language_pb2.RunRequest, folder: Path) -> str:
    options = request.info.options.fields
    named = options["virtualenv"].string_value if "virtualenv" in options else ""
    for root in (folder, Path(request.info.root_directory or folder)):
        python = root / named / "bin" / "python"
        if named and os.access(python, os.X_OK):
            return str(python)
    return sys.executable


def main() -> None:
    """Serve the host until the engine ends it; the engine's address is the last argument."""
    address = sys.argv[-1] if len(sys.argv) > 1 and not sys.argv[-1].startswith("-") else ""
    serve(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(PythonHost(address), server))


if __name__ == "__main__":
    main()
