"""host.json, derived from an app's functions and limits.

Names and defaults: Azure Functions' host.json reference, version 2.0.
"""

from __future__ import annotations

from typing import Any

from components.packaging.errors import PackageError
from components.packaging.manifest import App, BusOptions, QueueOptions, QueueTrigger

_BATCH_MAX = 32  # messages a Get Messages call returns at most
_ENCODINGS = ("none", "base64")


def host_json(app: App) -> dict[str, Any]:
    """host.json as a dict. Raises PackageError for values that the host would refuse.

    functionTimeout is the app's, not a function's; Consumption (Y1) allows 600 s at most: the component checks that.
    """
    if app.time_limit_s < 1:
        raise _wrong("time_limit_s", "1 or more seconds", app.time_limit_s, "set time_limit_s=300")
    document: dict[str, Any] = {
        "version": "2.0",
        "functionTimeout": _span(app.time_limit_s),
        "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.0.0, 5.0.0)"},
        "logging": {
            "logLevel": {"default": "Information", "Host.Aggregator": "Warning", "Azure.Core": "Warning"},
            "applicationInsights": {"samplingSettings": {"isEnabled": True, "excludedTypes": "Exception;Request"}},
        },
    }
    extensions = {}
    triggers = [one.trigger for one in app.functions if isinstance(one.trigger, QueueTrigger)]
    if triggers:
        extensions["queues"] = _queues(triggers, app.queues)
    if app.on_bus:
        extensions["serviceBus"] = _service_bus(app.bus)
    if extensions:
        document["extensions"] = extensions
    return document


def _service_bus(options: BusOptions) -> dict[str, Any]:
    at_least = {
        "max_concurrent_calls": 1, "max_concurrent_sessions": 1, "max_message_batch_size": 1, "prefetch_count": 0,
        "max_auto_lock_renewal_s": 0, "session_idle_timeout_s": 1,
    }  # fmt: skip
    for name, least in at_least.items():
        got, usual = getattr(options, name), getattr(BusOptions(), name)
        if got < least:
            raise _wrong(f"BusOptions.{name}", f"{least} or more", got, f"set {name}={usual}")
    return {
        "autoCompleteMessages": True,
        "maxAutoLockRenewalDuration": _span(options.max_auto_lock_renewal_s),
        "maxConcurrentCalls": options.max_concurrent_calls,
        "maxConcurrentSessions": options.max_concurrent_sessions,
        "maxMessageBatchSize": options.max_message_batch_size,
        "prefetchCount": options.prefetch_count,
        "sessionIdleTimeout": _span(options.session_idle_timeout_s),
    }


def _queues(triggers: list[QueueTrigger], options: QueueOptions) -> dict[str, Any]:
    encodings = sorted({trigger.encoding for trigger in triggers})
    if len(encodings) > 1 or encodings[0] not in _ENCODINGS:
        got = ", ".join(f"{trigger.queue}: {trigger.encoding}" for trigger in triggers)
        raise _wrong("encoding", "one of none, base64, the same for every queue of the app", got, "use one of them")
    if not 1 <= options.batch_size <= _BATCH_MAX:
        raise _wrong("batch_size", f"1 to {_BATCH_MAX}", options.batch_size, "set batch_size=16")
    if options.max_dequeue_count < 1:
        raise _wrong("max_dequeue_count", "1 or more", options.max_dequeue_count, "set max_dequeue_count=5")
    if options.max_polling_interval_s < 0.1:
        raise _wrong("max_polling_interval_s", "0.1 s or more", options.max_polling_interval_s, "set it to 60")
    queues: dict[str, Any] = {
        "batchSize": options.batch_size,
        "maxDequeueCount": options.max_dequeue_count,
        "maxPollingInterval": _span(options.max_polling_interval_s),
        "messageEncoding": encodings[0],
        "visibilityTimeout": _span(options.visibility_timeout_s),
    }
    if options.new_batch_threshold is not None:
        queues["newBatchThreshold"] = options.new_batch_threshold
    return queues


def _span(seconds: float) -> str:
    """A .NET TimeSpan: `[d.]hh:mm:ss[.fffffff]`."""
    milliseconds = round(seconds * 1000)
    whole, rest = divmod(milliseconds, 1000)
    days, whole = divmod(whole, 86_400)
    text = f"{whole // 3600:02}:{whole % 3600 // 60:02}:{whole % 60:02}"
    return (f"{days}." if days else "") + text + (f".{rest:03}0000" if rest else "")


def _wrong(name: str, must: str, got: object, change: str) -> PackageError:
    return PackageError(who="host.json", must=f"{name} must be {must}", got=str(got), change=change)
