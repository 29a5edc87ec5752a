"""A subscription's rules on the wire: maps when they are added, described lists when they are listed. Source: Service
Bus' request/response operations; the codes are those of Microsoft's own clients.
"""

from typing import Any

from localcloud.emulators.service_bus.broker.model import BrokerError, Condition, CorrelationFilter, Rule, SqlFilter
from localcloud.emulators.service_bus.codec.types import Described, Timestamp, ULong

_RULE, _NO_ACTION, _SQL_ACTION = ULong(0x13700000004), ULong(0x13700000005), ULong(0x13700000006)
_SQL, _TRUE, _FALSE, _CORRELATION = ULong(0x1370000006), ULong(0x1370000007), ULong(0x1370000008), ULong(0x1370000009)
_LANGUAGE = 20
"""Version of the filter language, as the service sends it."""
_FIELDS = (
    "correlation-id",
    "message-id",
    "to",
    "reply-to",
    "label",
    "session-id",
    "reply-to-session-id",
    "content-type",
)


def read(name: str, given: dict[Any, Any]) -> Rule:
    """A rule from add-rule's map. Raises BrokerError."""
    action = given.get("sql-rule-action")
    expression = action.get("expression") if isinstance(action, dict) else None
    return Rule(name, _filter(given), None if expression is None else str(expression))


def _filter(given: dict[Any, Any]) -> SqlFilter | CorrelationFilter:
    if isinstance(sql := given.get("sql-filter"), dict):
        return SqlFilter(str(sql.get("expression") or ""))
    if isinstance(wanted := given.get("correlation-filter"), dict):
        fields = {name.replace("-", "_"): str(wanted[name]) for name in _FIELDS if wanted.get(name) is not None}
        properties = wanted.get("properties")
        return CorrelationFilter(**fields, properties=dict(properties) if isinstance(properties, dict) else {})
    if "true-filter" in given:
        return SqlFilter("1=1")
    if "false-filter" in given:
        return SqlFilter("1=0")
    raise BrokerError(Condition.ARGUMENT, "a rule has a sql-filter, correlation-filter, true-filter or false-filter")


def write(rule: Rule) -> Described:
    """A rule as enumerate-rules lists it."""
    action = Described(_NO_ACTION, []) if rule.action is None else Described(_SQL_ACTION, [rule.action, _LANGUAGE])
    created = Timestamp(round(rule.created * 1000))
    return Described(_RULE, [_written(rule.filter), action, rule.name, created])


def _written(found: SqlFilter | CorrelationFilter) -> Described:
    if isinstance(found, CorrelationFilter):
        fields: list[Any] = [getattr(found, name.replace("-", "_")) for name in _FIELDS]
        return Described(_CORRELATION, [*fields, dict(found.properties)])
    if found.expression.replace(" ", "") in {"1=1", "1=0"}:
        return Described(_TRUE if found.expression.replace(" ", "") == "1=1" else _FALSE, [])
    return Described(_SQL, [found.expression, _LANGUAGE])
