"""Pulumi's resource monitor, spoken over gRPC to the unchanged SDK.

Protocol: proto/pulumi/resource.proto of the SDK. Served on loopback for the length of one run. What the SDK may use
is said by `FEATURES`; what is not listed it does without.
"""

import threading
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, engine_pb2, engine_pb2_grpc, resource_pb2
from pulumi.runtime.proto import provider_pb2 as provider_pb
from pulumi.runtime.proto import resource_pb2_grpc as monitor_grpc

from localcloud.engine.aliases import Alias
from localcloud.engine.deployment import Deployment, Wanted
from localcloud.engine.provider import Provider, Refused
from localcloud.engine.state import Record
from localcloud.engine.values import from_struct, masked, secret_texts, to_struct

MESSAGE_LIMIT = (
    400 * 1024 * 1024
)  # bytes; Pulumi's own limit, gRPC's default of 4 MB is too small for pickled providers
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.max_send_message_length", MESSAGE_LIMIT)]
FEATURES = [
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
]


class Monitor(monitor_grpc.ResourceMonitorServicer):
    """Takes the program's registrations and hands them to the deployment."""

    def __init__(self, deployment: Deployment, cloud: Provider) -> None:
        """One monitor serves one run."""
        self._deployment, self._cloud = deployment, cloud
        self._stack_transforms: list[callback_pb2.Callback] = []
        self._transforms: dict[str, list[callback_pb2.Callback]] = {}
        self._parents: dict[str, str] = {}
        self._channels: dict[str, grpc.Channel] = {}
        self._mutex = threading.Lock()

    def GetDeploymentInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> resource_pb2.DeploymentInfo:  # noqa: N802
        """What the SDK may use."""
        del request, context
        return resource_pb2.DeploymentInfo(supportedFeatures=FEATURES)

    def SupportsFeature(  # noqa: N802
        self, request: resource_pb2.SupportsFeatureRequest, context: grpc.ServicerContext
    ) -> resource_pb2.SupportsFeatureResponse:
        """The older way to ask the same."""
        del context
        known = {"secrets", "deletedWith", "aliasSpecs", "transforms", "invokeTransforms"}
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in known)

    def RegisterResource(  # noqa: N802
        self, request: resource_pb2.RegisterResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.RegisterResourceResponse:
        """Transform, apply, answer; a refusal is answered as a failed result, never raised into the program."""
        try:
            try:
                self._transform(request)
            except Refused as error:
                urn = self._deployment.urn(request.type, request.name, request.parent)
                lost = Record(urn=urn, type=request.type, name=request.name, custom=request.custom, order=0)
                self._deployment.fail(lost, error)
                raise
            record = self._deployment.register(_wanted(request))
        except Refused as error:
            if request.supportsResultReporting:
                urn = self._deployment.urn(request.type, request.name, request.parent)
                return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        with self._mutex:
            self._parents[record.urn] = record.parent
            self._transforms[record.urn] = list(request.transforms)
        return resource_pb2.RegisterResourceResponse(
            urn=record.urn, id=record.id, object=to_struct(record.outputs), result=resource_pb2.Result.SUCCESS
        )

    def RegisterResourceOutputs(  # noqa: N802
        self, request: resource_pb2.RegisterResourceOutputsRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """A component's outputs; the stack's own are the exports."""
        del context
        self._deployment.finish_component(request.urn, from_struct(request.outputs))
        return empty_pb2.Empty()

    def ReadResource(  # noqa: N802
        self, request: resource_pb2.ReadResourceRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ReadResourceResponse:
        """`X.get(name, id)`: something that exists and that this program does not own."""
        made = self._cloud.read(request.type, request.id)
        if made is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"{request.type} {request.id}: does not exist")
            raise AssertionError  # abort has raised already
        urn = self._deployment.urn(request.type, request.name, request.parent)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=to_struct(made.outputs))

    def Invoke(  # noqa: N802
        self, request: resource_pb2.ResourceInvokeRequest, context: grpc.ServicerContext
    ) -> provider_pb.InvokeResponse:
        """A provider's function."""
        del context
        try:
            answer = self._cloud.invoke(request.tok, from_struct(request.args))
        except Refused as error:
            return provider_pb.InvokeResponse(failures=[provider_pb.CheckFailure(reason=str(error))])
        return provider_pb.InvokeResponse(**{"return": to_struct(answer)})

    def RegisterStackTransform(  # noqa: N802
        self, request: callback_pb2.Callback, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """A transform for every resource of the stack from here on."""
        del context
        with self._mutex:
            self._stack_transforms.append(request)
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(  # noqa: N802
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Nothing runs after the program here (no hooks): answer at once."""
        del request, context
        return empty_pb2.Empty()

    def close(self) -> None:
        """Close the channels to the program's callbacks."""
        for channel in self._channels.values():
            channel.close()

    def _transform(self, request: resource_pb2.RegisterResourceRequest) -> None:
        """Run the resource's own transforms, then its ancestors' from the nearest up, then the stack's."""
        with self._mutex:
            chain = list(request.transforms)
            above = request.parent
            while above:
                chain += self._transforms.get(above, [])
                above = self._parents.get(above, "")
            chain += self._stack_transforms
        for callback in chain:
            self._apply_transform(callback, request)

    def _apply_transform(self, callback: callback_pb2.Callback, request: resource_pb2.RegisterResourceRequest) -> None:
        call = resource_pb2.TransformRequest(
            type=request.type,
            name=request.name,
            custom=request.custom,
            parent=request.parent,
            properties=request.object,
            options=resource_pb2.TransformResourceOptions(
                depends_on=request.dependencies,
                ignore_changes=request.ignoreChanges,
                replace_on_changes=request.replaceOnChanges,
                version=request.version,
                provider=request.provider,
                plugin_download_url=request.pluginDownloadURL,
                additional_secret_outputs=request.additionalSecretOutputs,
            ),
        )
        if request.HasField("protect"):
            call.options.protect = request.protect
        if request.HasField("retainOnDelete"):
            call.options.retain_on_delete = request.retainOnDelete
        stub = callback_pb2_grpc.CallbacksStub(self._channel(callback.target))
        try:
            reply = stub.Invoke(
                callback_pb2.CallbackInvokeRequest(token=callback.token, request=call.SerializeToString())
            )
        except grpc.RpcError as error:
            raise Refused(f"a transform failed: {error.details()}") from error
        _take_transformed(request, resource_pb2.TransformResponse.FromString(reply.response))

    def _channel(self, target: str) -> grpc.Channel:
        with self._mutex:
            if target not in self._channels:
                self._channels[target] = grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
            return self._channels[target]


class EngineLog(engine_pb2_grpc.EngineServicer):
    """Pulumi's engine service: `pulumi.log` and the root resource."""

    def __init__(self) -> None:
        """Messages gather in `messages` as (severity, text)."""
        self.messages: list[tuple[str, str]] = []
        self._root = ""

    def Log(self, request: engine_pb2.LogRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        """Keep what the program says."""
        del context
        if request.severity > engine_pb2.DEBUG:
            self.messages.append((engine_pb2.LogSeverity.Name(request.severity).lower(), request.message))
        return empty_pb2.Empty()

    def SetRootResource(  # noqa: N802
        self, request: engine_pb2.SetRootResourceRequest, context: grpc.ServicerContext
    ) -> engine_pb2.SetRootResourceResponse:
        """Remember the stack's urn."""
        del context
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def GetRootResource(  # noqa: N802
        self, request: engine_pb2.GetRootResourceRequest, context: grpc.ServicerContext
    ) -> engine_pb2.GetRootResourceResponse:
        """Say it again."""
        del request, context
        return engine_pb2.GetRootResourceResponse(urn=self._root)


def _wanted(request: resource_pb2.RegisterResourceRequest) -> Wanted:
    return Wanted(
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent=request.parent,
        inputs=from_struct(request.object),
        shown=masked(request.object),
        secrets=secret_texts(request.object),
        dependencies=list(request.dependencies),
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        ignore_changes=list(request.ignoreChanges),
        replace_on_changes=list(request.replaceOnChanges),
        aliases=[*(Alias(urn=urn) for urn in request.aliasURNs), *map(_alias, request.aliases)],
    )


def _alias(given: Any) -> Alias:
    if given.HasField("urn"):
        return Alias(urn=given.urn)
    spec = given.spec
    parent = "" if spec.noParent else spec.parentUrn or None
    return Alias(name=spec.name, type=spec.type, parent=parent)


def _take_transformed(
    request: resource_pb2.RegisterResourceRequest, transformed: resource_pb2.TransformResponse
) -> None:
    """A transform answers with the whole new properties and options."""
    request.object.CopyFrom(transformed.properties)
    options = transformed.options
    lists: list[tuple[Any, Any]] = [
        (request.dependencies, options.depends_on),
        (request.ignoreChanges, options.ignore_changes),
        (request.replaceOnChanges, options.replace_on_changes),
    ]
    for ours, theirs in lists:
        del ours[:]
        ours.extend(theirs)
    if options.HasField("protect"):
        request.protect = options.protect
    if options.HasField("retain_on_delete"):
        request.retainOnDelete = options.retain_on_delete
