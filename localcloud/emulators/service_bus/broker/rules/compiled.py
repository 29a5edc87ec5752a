"""A rule ready to be asked.

Documented: a correlation filter's fields must all be equal, system and user properties alike; each copy that an
action makes has a property RuleName. Our reading: a correlation filter compares text with text, and other values by
value and type as `=` does.
"""

from collections.abc import Callable

from localcloud.emulators.service_bus.broker.model import CorrelationFilter, Envelope, Rule, SqlFilter
from localcloud.emulators.service_bus.broker.rules.action import parse_action
from localcloud.emulators.service_bus.broker.rules.operators import equal
from localcloud.emulators.service_bus.broker.rules.parse import parse_filter
from localcloud.emulators.service_bus.broker.rules.properties import user
from localcloud.emulators.service_bus.broker.rules.sql import FilterError

FIELDS = (
    "correlation_id",
    "message_id",
    "to",
    "reply_to",
    "session_id",
    "reply_to_session_id",
    "content_type",
)


class CompiledRule:
    """`FilterError` at construction says what is wrong with the rule, later what is wrong with the message for it."""

    __slots__ = ("_act", "_match", "acts", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._match = _sql(rule.filter) if isinstance(rule.filter, SqlFilter) else _correlation(rule.filter)
        self._act = parse_action(rule.action, rule.action_parameters) if rule.action and rule.action.strip() else None
        self.acts = self._act is not None

    def matches(self, envelope: Envelope) -> bool:
        """Only true selects; unknown does not."""
        return self._match(envelope)

    def act(self, envelope: Envelope) -> Envelope:
        """The changed copy."""
        if self._act is None:
            return envelope
        changed = self._act(envelope)
        changed.application_properties["RuleName"] = self.rule.name
        return changed


def _sql(sql: SqlFilter) -> Callable[[Envelope], bool]:
    plain = "".join(sql.expression.split())
    if plain == "1=1":
        return lambda _: True
    if not plain:
        raise FilterError("an SQL filter needs an expression, got none")
    evaluate = parse_filter(sql.expression, sql.parameters)
    return lambda envelope: evaluate(envelope) is True


def _correlation(wanted: CorrelationFilter) -> Callable[[Envelope], bool]:
    fields = [(name, getattr(wanted, name)) for name in FIELDS if getattr(wanted, name) is not None]
    if wanted.label is not None:
        fields.append(("subject", wanted.label))
    readers = [(user(name), value) for name, value in wanted.properties.items()]
    if not fields and not readers:
        raise FilterError("a correlation filter needs at least one property")

    def match(envelope: Envelope) -> bool:
        for name, value in fields:
            found = getattr(envelope, name)
            if found is None or (found != value and str(found) != value):
                return False
        return all(equal(read(envelope), value) for read, value in readers)

    return match
