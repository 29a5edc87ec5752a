"""What Service Bus refuses though no schema says so: durations, counts, sizes, what excludes what.

Sources: Microsoft's pages "Service Bus quotas", "Chaining Service Bus entities with autoforwarding" and "Message
sessions"; bounds as its administration clients enforce them (AdministrationClientConstants).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from localcloud.control.check_view import Failure, View

Siblings = Callable[[str], Mapping[str, Any] | None]

DURATION = re.compile(r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?\Z")
DAY_S = 86_400
FOREVER_S = float("inf")
BOUNDS = {
    "lockDuration": (5, 300, "PT1M"),
    "defaultMessageTimeToLive": (1, FOREVER_S, "P14D"),
    "duplicateDetectionHistoryTimeWindow": (20, 7 * DAY_S, "PT10M"),
    "autoDeleteOnIdle": (300, FOREVER_S, "P1D"),
}
"""Property → shortest and longest in seconds, and one to write instead."""
SIZES_MB = (1024, 2048, 3072, 4096, 5120, 10240, 20480, 40960, 81920)
UNITS = (1, 2, 4, 8, 16)


def seconds(text: str) -> float | None:
    """An ISO 8601 duration of days and smaller; None for what is none."""
    found = DURATION.match(text)
    if found is None:
        return None
    days, hours, minutes, rest = (float(part or 0) for part in found.groups())
    return days * DAY_S + hours * 3600 + minutes * 60 + rest


def times(view: View, _: Siblings) -> Iterator[Failure]:
    """Durations are ISO 8601 and within the service's bounds."""
    for name, (low, high, instead) in BOUNDS.items():
        text = view.text(name)
        length = seconds(text) if text else low
        if length is None:
            yield Failure(name, f'must be an ISO 8601 duration, got "{text}"; write "{instead}"')
        elif not low <= length <= high:
            most = f" and at most {high} s" if high != FOREVER_S else ""
            yield Failure(name, f'must be at least {low} s{most}, got "{text}"; write "{instead}"')


def counts(view: View, _: Siblings) -> Iterator[Failure]:
    """At least one delivery; a size that is sold."""
    tries, size = view.get("maxDeliveryCount"), view.get("maxSizeInMegabytes")
    if isinstance(tries, int | float) and tries < 1:
        yield Failure("maxDeliveryCount", f"must be at least 1, got {tries}; write 10")
    if isinstance(size, int | float) and size not in SIZES_MB:
        yield Failure("maxSizeInMegabytes", f"must be one of {SIZES_MB}, got {size}; write 1024")


def forwarding(view: View, _: Siblings) -> Iterator[Failure]:
    """Nothing forwards to itself, and what has sessions does not forward."""
    for name in ("forwardTo", "forwardDeadLetteredMessagesTo"):
        if view.text(name) and view.text(name).lower() == view.text("queueName").lower():
            yield Failure(name, f'must not be the queue itself, got "{view.text(name)}"; name another')
    if view.get("requiresSession") is True and view.has("forwardTo"):
        yield Failure("forwardTo", "must not be set on an entity with sessions; take one away")


def sku(view: View, _: Siblings) -> Iterator[Failure]:
    """The tier is the name's; messaging units are Premium's."""
    name, tier, units = view.text("sku.name"), view.text("sku.tier"), view.get("sku.capacity")
    if name and tier and name.lower() != tier.lower():
        yield Failure("sku.tier", f'must be "{name}" for {name}, got "{tier}"; write "{name}"')
    partitions = view.get("premiumMessagingPartitions") or 1
    allowed = [unit * partitions for unit in UNITS] if isinstance(partitions, int | float) else []
    if name.lower() == "premium" and units is not None and units not in allowed:
        yield Failure("sku.capacity", f"must be one of {allowed}, got {units}; write {allowed[0]}")


def rule_filter(view: View, _: Siblings) -> Iterator[Failure]:
    """A rule's type says which filter it has, and that one is there."""
    for kind, name in (("SqlFilter", "sqlFilter"), ("CorrelationFilter", "correlationFilter")):
        if view.text("filterType") == kind and not view.has(name):
            yield Failure(name, f'must be set for filterType "{kind}", it is absent; give the filter')
    if view.has("sqlFilter") and not view.has("sqlFilter.sqlExpression"):
        yield Failure("sqlFilter.sqlExpression", 'must be set, it is absent; write "1=1" for everything')


ENTITY = (times, counts, forwarding)
FIXED = ("requiresSession", "requiresDuplicateDetection", "enablePartitioning")
"""What nobody may change afterwards ("The value for the … property of an existing Queue cannot be changed")."""
