"""Actions: `SET property = expression` and `REMOVE property`, one after another, with or without semicolons between
them.

Documented: SET makes or changes, converting to the old value's type where that is possible; a missing system property
is an error. Our reading: a SET whose expression is unknown leaves the property as it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from localcloud.emulators.service_bus.broker.model import Envelope
from localcloud.emulators.service_bus.broker.rules.parse import Evaluate, Parser
from localcloud.emulators.service_bus.broker.rules.properties import SETTABLE, user_key
from localcloud.emulators.service_bus.broker.rules.sql import FilterError

Step = Callable[[Envelope], None]


def parse_action(expression: str, parameters: Mapping[str, Any]) -> Callable[[Envelope], Envelope]:
    """A function that gives a changed copy of a message."""
    parser = Parser(expression, parameters)
    steps: list[Step] = []
    while parser.token.kind != "end":
        steps.append(_statement(parser))
        while parser.accept(";", ","):
            pass

    def act(envelope: Envelope) -> Envelope:
        changed = replace(envelope, application_properties=dict(envelope.application_properties), rewritten=True)
        for step in steps:
            step(changed)
        return changed

    return act


def _statement(parser: Parser) -> Step:
    if parser.accept("SET"):
        _, scope, name = parser.property()
        parser.expect("=")
        return _set(scope, name, parser.sum())
    if parser.accept("REMOVE"):
        _, scope, name = parser.property()
        return _remove(scope, name)
    raise parser.fault("SET or REMOVE")


def _settable(name: str) -> str:
    field = SETTABLE.get(name.lower())
    if field is None:
        raise FilterError(f"there is no system property sys.{name} that an action may change")
    return field


def _set(scope: str, name: str, expression: Evaluate) -> Step:
    def set_system(envelope: Envelope) -> None:
        field = _settable(name)
        value = expression(envelope)
        if value is not None:
            setattr(envelope, field, str(value))

    def set_user(envelope: Envelope) -> None:
        value = expression(envelope)
        if value is not None:
            key = user_key(envelope, name) or name
            envelope.application_properties[key] = _converted(value, envelope.application_properties.get(key))

    return set_system if scope == "sys" else set_user


def _converted(value: Any, old: Any) -> Any:
    if old is None or type(value) is type(old) or isinstance(old, bool) or isinstance(value, bool):
        return value
    try:
        if isinstance(old, str):
            return str(value)
        if isinstance(old, (int, float)) and isinstance(value, (int, float, str)):
            return type(old)(value)
    except (ValueError, TypeError, OverflowError):
        return value
    return value


def _remove(scope: str, name: str) -> Step:
    def remove_system(envelope: Envelope) -> None:
        setattr(envelope, _settable(name), None)

    def remove_user(envelope: Envelope) -> None:
        key = user_key(envelope, name)
        if key is not None:
            del envelope.application_properties[key]

    return remove_system if scope == "sys" else remove_user
