"""Entities and rules as the administration API describes them, and back."""

from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from localcloud.emulators.service_bus.broker.entities import counts
from localcloud.emulators.service_bus.broker.model import CorrelationFilter, Rule, SqlFilter
from localcloud.emulators.service_bus.broker.nodes import Node, Topic
from localcloud.emulators.service_bus.broker.options import Options, QueueOptions, SubscriptionOptions, TopicOptions
from localcloud.emulators.service_bus.management import atom
from localcloud.emulators.service_bus.management.properties import CORRELATION, properties_of

KINDS: Final[dict[str, type[Options]]] = {
    "QueueDescription": QueueOptions,
    "TopicDescription": TopicOptions,
    "SubscriptionDescription": SubscriptionOptions,
}
NAMES: Final = {"queue": "QueueDescription", "topic": "TopicDescription", "subscription": "SubscriptionDescription"}
_TARGETS: Final = ("ForwardTo", "ForwardDeadLetteredMessagesTo")


def of_node(node: Node, host: str) -> ET.Element:
    """An entity's options and runtime counts."""
    made = atom.description(NAMES[node.kind])
    for name, known in properties_of(type(node.options)).items():
        text = known.to_xml(getattr(node.options, known.field))
        if text is not None:
            atom.child(made, name, f"sb://{host}/{text}" if name in _TARGETS else text)
    found = counts(node)
    for name, when in (("CreatedAt", node.created), ("UpdatedAt", node.updated), ("AccessedAt", node.used)):
        atom.child(made, name, atom.moment(when))
    if isinstance(node, Topic):
        atom.child(made, "SubscriptionCount", str(found.subscriptions))
    else:
        total = found.active + found.dead_letter + found.scheduled + found.transfer_dead_letter
        atom.child(made, "MessageCount", str(total))
    if node.kind != "subscription":
        atom.child(made, "SizeInBytes", str(found.size))
    details = atom.child(made, "CountDetails")
    for name, count in (
        ("ActiveMessageCount", found.active),
        ("DeadLetterMessageCount", found.dead_letter),
        ("ScheduledMessageCount", found.scheduled),
        ("TransferDeadLetterMessageCount", found.transfer_dead_letter),
        ("TransferMessageCount", found.transfer),
    ):
        atom.child(details, f"c:{name}", str(count))
    atom.child(made, "EntityAvailabilityStatus", "Available")
    return made


def options_of(description: ET.Element, kind: type[Options]) -> Options:
    """An entity's options: what is not said has its default; read-only elements are passed over."""
    known = properties_of(kind)
    values: dict[str, Any] = {}
    faults = []
    for element in description:
        name = atom.local(element)
        if name not in known or element.get(f"{{{atom.XSI}}}nil") == "true":
            continue
        text = element.text or ""
        try:
            values[known[name].field] = known[name].from_xml(_path(text) if name in _TARGETS else text)
        except ValueError as error:
            faults.append(f"{name} {error}")
    endless = [name for name in ("LockDuration", "DuplicateDetectionHistoryTimeWindow") if name in known]
    faults += [f"{name} must end" for name in endless if values.get(known[name].field, 0) is None]
    if faults:
        raise atom.XmlError("; ".join(faults))
    return kind(**values)


def _path(target: str) -> str:
    """A forwarding target is given as a path or as an address (`sb://host/path`)."""
    return urlsplit(target).path.strip("/") if "://" in target else target.strip("/")


def of_rule(rule: Rule) -> ET.Element:
    """A rule."""
    made = atom.description("RuleDescription")
    if isinstance(rule.filter, SqlFilter):
        _add_sql(made, rule.filter)
    else:
        _add_correlation(made, rule.filter)
    action = atom.child(made, "Action")
    if rule.action:
        action.set("i:type", "SqlRuleAction")
        atom.child(action, "SqlExpression", rule.action)
        atom.child(action, "CompatibilityLevel", "20")
        atom.add_values(atom.child(action, "Parameters"), rule.action_parameters)
    else:
        action.set("i:type", "EmptyRuleAction")
    atom.child(made, "CreatedAt", atom.moment(rule.created))
    atom.child(made, "Name", rule.name)
    return made


def _add_sql(parent: ET.Element, sql: SqlFilter) -> None:
    element = atom.child(parent, "Filter")
    kinds = {"1=1": "TrueFilter", "1=0": "FalseFilter"}
    element.set("i:type", kinds.get("".join(sql.expression.split()), "SqlFilter"))
    atom.child(element, "SqlExpression", sql.expression)
    atom.child(element, "CompatibilityLevel", "20")
    atom.add_values(atom.child(element, "Parameters"), sql.parameters)


def _add_correlation(parent: ET.Element, wanted: CorrelationFilter) -> None:
    element = atom.child(parent, "Filter")
    element.set("i:type", "CorrelationFilter")
    for name in (
        "CorrelationId",
        "MessageId",
        "To",
        "ReplyTo",
        "Label",
        "SessionId",
        "ReplyToSessionId",
        "ContentType",
    ):
        value = getattr(wanted, CORRELATION[name])
        if value is not None:
            atom.child(element, name, value)
    atom.add_values(atom.child(element, "Properties"), wanted.properties)


def rule_of(description: ET.Element, name: str, now: float) -> Rule:
    """A rule from its description; without a filter it takes everything."""
    action = description.find(f"{{{atom.SB}}}Action")
    expression = action.findtext(f"{{{atom.SB}}}SqlExpression") if action is not None else None
    parameters = atom.values_of(action.find(f"{{{atom.SB}}}Parameters")) if action is not None else {}
    return Rule(name, _filter_of(description.find(f"{{{atom.SB}}}Filter")), expression or None, parameters, now)


def _filter_of(element: ET.Element | None) -> SqlFilter | CorrelationFilter:
    if element is None:
        return SqlFilter("1=1")
    kind = element.get(f"{{{atom.XSI}}}type", "").rpartition(":")[2]
    if kind == "TrueFilter":
        return SqlFilter("1=1")
    if kind == "FalseFilter":
        return SqlFilter("1=0")
    if kind == "SqlFilter":
        parameters = atom.values_of(element.find(f"{{{atom.SB}}}Parameters"))
        return SqlFilter(element.findtext(f"{{{atom.SB}}}SqlExpression") or "", parameters)
    if kind == "CorrelationFilter":
        given = {name: element.findtext(f"{{{atom.SB}}}{name}") for name in CORRELATION}
        fields = {CORRELATION[name]: value for name, value in given.items() if value}
        return CorrelationFilter(**fields, properties=atom.values_of(element.find(f"{{{atom.SB}}}Properties")))
    raise atom.XmlError(f"a filter is an SqlFilter, a CorrelationFilter, a TrueFilter or a FalseFilter, got {kind!r}")
