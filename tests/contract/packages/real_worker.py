"""Indexes and invokes an unpacked package with Microsoft's own Python worker library; run in a bare interpreter.

`python -I -S real_worker.py PACKAGE LIBRARY INVOCATIONS`: INVOCATIONS is a JSON list of {"function", "type", "data",
"metadata"}. The worker's gRPC messages are plain objects here: the library only sets and reads their fields. The last
line of stdout is the answer, a JSON object with the indexed functions and each invocation's status.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import sys
from pathlib import Path
from typing import Any


class Message:
    """Any protobuf message: fields by name."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class BindingInfo(Message):
    """A binding; its directions are the protocol's."""

    inout = 2
    out = 1


class StatusResult(Message):
    """How something went."""

    Failure = 0
    Success = 1


KINDS = ("json", "string", "bytes", "collection_bytes")


class TypedData(Message):
    """A value with its kind; or a parameter with its value."""

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - protobuf's name
        """The kind that is set."""
        if group == "rpc_data":
            return "data"
        return next((kind for kind in KINDS if kind in self.__dict__), None)


class Protos:
    """The generated module: a class of its own for any name."""

    BindingInfo = BindingInfo
    StatusResult = StatusResult
    TypedData = TypedData

    def __getattr__(self, name: str) -> type[Message]:
        made = type(name, (Message,), {})
        setattr(self, name, made)
        return made


def typed(kind: str, value: Any) -> TypedData:
    """A TypedData of one kind; bytes came as base64."""
    if kind == "bytes":
        value = base64.b64decode(value)
    elif kind == "collection_bytes":
        value = Message(bytes=[base64.b64decode(one) for one in value])
    return TypedData(**{kind: value})


def request(**fields: Any) -> Message:
    """What the library's entry points take."""
    return Message(request=Message(**fields), properties={"host": "127.0.0.1", "protos": Protos()})


def failure(result: Any) -> str | None:
    """The text of a failed status."""
    return None if result.status == StatusResult.Success else str(result.exception.message)


async def main(package: str, library: str, invocations: list[dict[str, Any]]) -> dict[str, Any]:
    """Init, metadata, then each invocation."""
    sys.path[:0] = [package, str(Path(package) / ".python_packages/lib/site-packages")]
    sys.path.append(library)
    worker: Any = importlib.import_module("azure_functions_runtime")
    worker.start_threadpool_executor()
    begun = Message(capabilities={}, function_app_directory=package)
    init = await worker.worker_init_request(request(worker_init_request=begun))
    answer: dict[str, Any] = {"init": failure(init.result), "functions": [], "invocations": []}
    if answer["init"]:
        return answer
    metadata = await worker.functions_metadata_request(request())
    identities = {}
    for function in metadata.function_metadata_results:
        identities[function.name] = function.function_id
        answer["functions"].append({"name": function.name, "bindings": [json.loads(b) for b in function.raw_bindings]})
    for number, one in enumerate(invocations):
        message = Message(
            function_id=identities[one["function"]],
            invocation_id=f"invocation-{number}",
            input_data=[TypedData(name="message", data=typed(one["type"], one["data"]))],
            trigger_metadata={name: typed(*value) for name, value in one["metadata"].items()},
            trace_context=Message(trace_parent=f"00-{'1' * 32}-{'2' * 16}-01", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
        done = await worker.invocation_request(request(invocation_request=message))
        answer["invocations"].append(failure(done.result))
    worker.stop_threadpool_executor()
    return answer


if __name__ == "__main__":
    print("\n" + json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))))  # noqa: T201
