"""What a Service Bus entity or rule is declared with (as ARM writes it) in the broker's own terms.

ARM's names are those of the administration with a small first letter, its durations the same ISO 8601; what the broker
has no option for (tags, client-affine subscriptions) is passed over. ValueError says which input, and what must hold.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from localcloud.emulators.service_bus.broker.model import CorrelationFilter, Rule, SqlFilter
from localcloud.emulators.service_bus.broker.options import Options as AnyOptions
from localcloud.emulators.service_bus.broker.options import QueueOptions, SubscriptionOptions, TopicOptions
from localcloud.emulators.service_bus.management import durations
from localcloud.emulators.service_bus.management.properties import CORRELATION, Property, properties_of

Options = TypeVar("Options", QueueOptions, TopicOptions, SubscriptionOptions)
Inputs = Mapping[str, Any]
EVERYTHING = "1=1"


def options(kind: type[Options], inputs: Inputs) -> Options:
    """What is not said has Service Bus' default."""
    known, values = _known(kind), dict[str, Any]()
    for name, value in inputs.items():
        if name not in known or value is None:
            continue
        try:
            values[known[name].field] = known[name].from_json(value)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from error
    return kind(**values)


def as_seen(now: AnyOptions, inputs: Inputs) -> dict[str, Any]:
    """The inputs as the entity really is: what somebody changed behind the program's back is as they made it."""
    known, found = _known(type(now)), dict(inputs)
    for name, value in inputs.items():
        if name in known and value is not None:
            current = getattr(now, known[name].field)
            if known[name].from_json(value) != current:
                found[name] = durations.text(current) if known[name].kind == "duration" else current
    return found


def _known(kind: type[AnyOptions]) -> dict[str, Property]:
    return {name[0].lower() + name[1:]: one for name, one in properties_of(kind).items()}


def rule(name: str, inputs: Inputs) -> Rule:
    """One filter and perhaps an action; a rule without a filter takes everything."""
    action = (inputs.get("action") or {}).get("sqlExpression") or None
    wanted = inputs.get("correlationFilter")
    if wanted and inputs.get("filterType") != "SqlFilter":
        fields = {
            CORRELATION[key[0].upper() + key[1:]]: text
            for key, text in wanted.items()
            if key[0].upper() + key[1:] in CORRELATION
        }
        return Rule(name, CorrelationFilter(**fields, properties=dict(wanted.get("properties") or {})), action)
    return Rule(name, SqlFilter((inputs.get("sqlFilter") or {}).get("sqlExpression") or EVERYTHING), action)
