"""A provider plugin for the real engine: Pulumi's provider protocol in front of the local control plane.

`python -m localcloud.plugins.provider azure-native ENGINE_ADDRESS` serves it on a loopback port, printed first, as the
engine expects. One process per provider. Knows no resource type: control/ says what is accepted, what differs and what
that means. Protocol: proto/pulumi/provider.proto of the SDK.
"""

import importlib.metadata
import json
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

from localcloud.control.client import ControlClient, Unreachable
from localcloud.engine.config import ConfigError
from localcloud.engine.monitor import CHANNEL_OPTIONS
from localcloud.engine.provider import Refused
from localcloud.engine.values import Values, changed_paths
from localcloud.plugins import guard
from localcloud.plugins.diff import response
from localcloud.plugins.serve import serve
from localcloud.plugins.values import Secrets, plain, read, write
from localcloud.session.local import LocalCloudError

LABEL = "MILLRACE LOCAL CLOUD"
DEFAULTS = ("location", "region")
"""Settings of a provider that its resources take where they say nothing of their own."""
T = TypeVar("T")


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """One provider (`azure-native` or `aws`) of one stack."""

    def __init__(self, package: str, engine_address: str) -> None:
        """`package` as its tokens begin; `engine_address` for messages to people."""
        self._package = package
        self._version = importlib.metadata.version(f"pulumi-{package}")
        self._engine = _engine(engine_address)
        self._cancelled = threading.Event()
        self._cloud: ControlClient | None = None
        self._defaults: Values = {}
        self._made: set[tuple[str, str]] = set()

    # ---- who we are

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> provider_pb2.ProviderHandshakeResponse:  # noqa: N802
        """Secrets come and go marked; a resource is a plain value to us."""
        del request, context
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False)

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: N802
        """The version of the SDK that the program uses, or the engine would look for another plugin."""
        del request, context
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(  # noqa: N802
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """Name and version: programs in Python carry their own classes."""
        del request, context
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": self._package, "version": self._version}))

    def CheckConfig(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Any configuration is well-formed; whether it is local is asked when it is used."""
        del context
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """A changed configuration changes the provider in place."""
        del context
        changed = changed_paths(plain(request.old_inputs or request.olds), plain(request.news))
        kinds = provider_pb2.DiffResponse.DiffChanges
        return provider_pb2.DiffResponse(changes=kinds.DIFF_SOME if changed else kinds.DIFF_NONE, diffs=changed)

    def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Find the stack's local cloud and refuse every stack that is not local."""
        project, stack = _project_and_stack(request.urn)

        def configure() -> provider_pb2.ConfigureResponse:
            home = guard.local_stack(project, stack)
            us = guard.tenancy(home)
            config = _config(request.args)
            guard.require_local(self._package, project, stack, config, us)
            self._defaults = {key: config[key] for key in DEFAULTS if config.get(key)}
            self._cloud = ControlClient(home.ensure(self._say))
            self._say(f"{LABEL}: the {self._package} resources of {project}/{stack} are on this machine only")
            return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

        return self._answer(context, configure)

    # ---- resources

    def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Inputs as the cloud takes them, or every reason against them."""
        news, secrets = read(request.news)
        olds = plain(request.olds) or None

        def check() -> provider_pb2.CheckResponse:
            named_for = ":".join(_project_and_stack(request.urn))
            checked = self._control.check(
                _type(request.urn), _name(request.urn), olds, news, defaults=self._defaults, seed=named_for
            )
            failures = [provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in checked.failures]
            return provider_pb2.CheckResponse(inputs=write(checked.inputs, secrets), failures=failures)

        return self._answer(context, check)

    def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Which properties differ, and for which of them the cloud would replace."""
        old, new = plain(request.old_inputs), plain(request.news)

        def diff() -> provider_pb2.DiffResponse:
            difference = self._control.diff(_type(request.urn), request.id, old, new)
            return response(difference, old, new)

        return self._answer(context, diff)

    def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        """Make it; in a preview, say what is known of it."""
        inputs, secrets = read(request.properties)

        def create() -> provider_pb2.CreateResponse:
            made = self._control.create(_type(request.urn), _name(request.urn), inputs, preview=request.preview)
            if not request.preview:
                self._made.add((_type(request.urn), made.id))
            return provider_pb2.CreateResponse(id=made.id, properties=write(made.outputs, secrets))

        return self._answer(context, create)

    def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        """What is there (refresh, import, `X.get`); an empty id says that it is gone."""
        secrets = read(request.inputs)[1].add(read(request.properties)[1])

        def found() -> provider_pb2.ReadResponse:
            made = self._control.read(_type(request.urn), request.id)
            if made is None:
                return provider_pb2.ReadResponse()
            inputs = made.inputs if made.inputs is not None else plain(request.inputs)
            return provider_pb2.ReadResponse(
                id=made.id, properties=write(made.outputs, secrets), inputs=write(inputs, secrets)
            )

        return self._answer(context, found)

    def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        """Change it in place."""
        new, secrets = read(request.news)
        old = plain(request.old_inputs)

        def update() -> provider_pb2.UpdateResponse:
            type_ = _type(request.urn)
            made = self._control.update(type_, request.id, old, new, preview=request.preview)
            return provider_pb2.UpdateResponse(properties=write(made.outputs, secrets))

        return self._answer(context, update)

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        """Remove it; gone already is no error. What this run made anew under the same id stays: only its name in the
        program was another.
        """

        def delete() -> empty_pb2.Empty:
            if (_type(request.urn), request.id) in self._made:
                self._say(f"{_name(request.urn)}: {request.id} stays, this run made it anew")
                return empty_pb2.Empty()
            self._control.delete(_type(request.urn), request.id, plain(request.properties))
            return empty_pb2.Empty()

        return self._answer(context, delete)

    def Invoke(  # noqa: N802
        self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.InvokeResponse:
        """A function of the provider."""

        def invoke() -> provider_pb2.InvokeResponse:
            return provider_pb2.InvokeResponse(
                **{
                    "return": write(
                        self._control.invoke(request.tok, {**self._defaults, **plain(request.args)}), Secrets()
                    )
                }
            )

        return self._answer(context, invoke)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        """Begin nothing more; what is in hand ends by itself."""
        del request, context
        self._cancelled.set()
        return empty_pb2.Empty()

    # ---- how calls are answered

    @property
    def _control(self) -> ControlClient:
        if self._cancelled.is_set():
            raise Refused("cancelled before it began")
        if self._cloud is None:
            raise Refused(f"the {self._package} provider was not configured; this is a defect of the engine's caller")
        return self._cloud

    def _answer(self, context: grpc.ServicerContext, call: Callable[[], T]) -> T:
        """The call's answer; a refusal reaches the person in its own words."""
        try:
            return call()
        except (Refused, Unreachable, LocalCloudError, ConfigError) as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception as error:  # noqa: BLE001  told with its kind; gRPC alone says "Exception calling application"
            context.abort(grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}")
        raise AssertionError  # abort has raised already

    def _say(self, message: str) -> None:
        if self._engine:
            self._engine.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message))


def _engine(address: str) -> engine_pb2_grpc.EngineStub | None:
    if not address:
        return None
    return engine_pb2_grpc.EngineStub(grpc.insecure_channel(address, options=CHANNEL_OPTIONS))


def _project_and_stack(urn: str) -> tuple[str, str]:
    """`urn:pulumi:STACK::PROJECT::…`; empty for an engine too old to say it."""
    parts = urn.split("::")
    return (parts[1], parts[0].removeprefix("urn:pulumi:")) if len(parts) > 1 else ("", "")


def _type(urn: str) -> str:
    return urn.split("::", 3)[2].rsplit("$", 1)[-1]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _config(args: struct_pb2.Struct) -> Values:
    """A provider's configuration; what is not text comes as JSON in text."""
    config: Values = {}
    for key, value in plain(args).items():
        try:
            config[key] = json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value
        except json.JSONDecodeError:
            config[key] = value
    return config


def main() -> None:
    """Serve one provider until the engine ends it."""
    package, address = sys.argv[1], next((arg for arg in sys.argv[2:] if not arg.startswith("-")), "")
    serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(package, address), server))


if __name__ == "__main__":
    main()
