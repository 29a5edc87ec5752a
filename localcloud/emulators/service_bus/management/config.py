"""Config.json of Microsoft's emulator: UserConfig → Namespaces → Queues and Topics → Properties, Subscriptions, Rules.

Everything that is wrong is told at once, each fault with its place. There are no caps. Further properties of the
service's entities (status, quotas, auto-delete …) may be given by the names that its resource templates use. Several
namespaces make one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.emulators.service_bus.broker.model import BrokerError, CorrelationFilter, Rule, SqlFilter
from localcloud.emulators.service_bus.broker.namespace import DEFAULT_RULE
from localcloud.emulators.service_bus.broker.options import (
    Options,
    QueueOptions,
    SubscriptionOptions,
    TopicOptions,
)
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.management import durations
from localcloud.emulators.service_bus.management.properties import CORRELATION, properties_of


class ConfigError(Exception):
    """All that is wrong with the file, a line for each fault."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One entity of the file: `place` is where it stands there, `topic` is a subscription's."""

    place: str
    name: str
    options: Options
    topic: str | None = None
    rules: tuple[Rule, ...] = (DEFAULT_RULE,)

    @property
    def path(self) -> str:
        """As the broker knows it."""
        return self.name if self.topic is None else f"{self.topic}/Subscriptions/{self.name}"


@dataclass(frozen=True, slots=True)
class Config:
    """What a file declares."""

    entities: tuple[Declared, ...]

    def apply(self, service: Service) -> None:
        """Make what is missing, change what is different, leave everything else; `ConfigError` when the broker
        refuses some.
        """
        faults = list(self._applied(service))
        if faults:
            raise ConfigError("\n".join(faults))

    def _applied(self, service: Service) -> Iterator[str]:
        waiting = list(self.entities)
        while waiting:
            later = []
            missing = {declared.path.lower() for declared in waiting}
            for declared in waiting:
                if _waits(declared, missing):
                    later.append(declared)
                    continue
                try:
                    _make(service, declared)
                except BrokerError as error:
                    yield f"{declared.place}: {error.text}"
            if len(later) == len(waiting):
                for declared in later:
                    yield f"{declared.place}: {declared.path} is part of a chain of forwarding that leads back to it."
                return
            waiting = later


def _waits(declared: Declared, missing: set[str]) -> bool:
    """What it stands on or forwards to is still to be made. `missing`: paths in lower case."""
    options = declared.options
    needed = {declared.topic}
    if not isinstance(options, TopicOptions):
        needed |= {options.forward_to, options.forward_dead_letters_to}
    wanted = {name.lower() for name in needed if name is not None} - {declared.path.lower()}
    return not wanted.isdisjoint(missing)


def _make(service: Service, declared: Declared) -> None:
    options = declared.options
    existing = service.namespace.nodes.get(declared.path.lower())
    if existing is not None:
        if existing.options != options:
            service.update(declared.path, options)
    elif isinstance(options, QueueOptions):
        service.create_queue(declared.name, options)
    elif isinstance(options, TopicOptions):
        service.create_topic(declared.name, options)
    else:
        service.create_subscription(declared.topic or "", declared.name, options, declared.rules)
    if existing is not None and isinstance(options, SubscriptionOptions):
        _make_rules(service, declared)


def _make_rules(service: Service, declared: Declared) -> None:
    there = {rule.name.casefold(): rule for rule in service.rules(declared.path, 0, 10_000)}
    for rule in declared.rules:
        old = there.pop(rule.name.casefold(), None)
        if old is None:
            service.add_rule(declared.path, rule)
        elif (old.filter, old.action) != (rule.filter, rule.action):
            service.replace_rule(declared.path, rule)
    for name in there:
        service.remove_rule(declared.path, name)


def read(path: Path) -> Config:
    """The file's entities; `ConfigError` tells everything that is wrong, what the broker would refuse included."""
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{path}: must be JSON: {error}.") from error
    reader = _Reader()
    config = Config(tuple(reader.entities(data)))
    if not reader.faults:
        try:
            config.apply(Service())
        except ConfigError as error:
            reader.faults = str(error).splitlines()
    if reader.faults:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in reader.faults))
    return config


class _Reader:
    """Reads on after a fault, to find the others."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._places: dict[str, str] = {}

    def entities(self, data: Any) -> Iterator[Declared]:
        user = self._object(self._object(data, "the file").get("UserConfig"), "UserConfig")
        for namespace, place in self._list(user, "UserConfig", "Namespaces", required=True):
            for queue, at in self._list(namespace, place, "Queues"):
                yield from self._entity(queue, at, QueueOptions)
            for topic, at in self._list(namespace, place, "Topics"):
                for declared in self._entity(topic, at, TopicOptions):
                    yield declared
                    for subscription, below in self._list(topic, at, "Subscriptions"):
                        yield from self._entity(subscription, below, SubscriptionOptions, declared.name)

    def _entity(
        self, data: dict[str, Any], place: str, kind: type[Options], topic: str | None = None
    ) -> Iterator[Declared]:
        allowed = {QueueOptions: (), TopicOptions: ("Subscriptions",), SubscriptionOptions: ("Rules",)}[kind]
        self._only(data, place, ("Name", "Properties", *allowed))
        name = data.get("Name")
        if not isinstance(name, str) or not name:
            self.faults.append(f"{place}.Name: must be a text, got {json.dumps(name)}.")
            return
        options = self._options(data.get("Properties") or {}, f"{place}.Properties", kind)
        rules = tuple(self._rules(data, place)) or (DEFAULT_RULE,)
        declared = Declared(place, name, options, topic, rules)
        first = self._places.setdefault(declared.path.lower(), place)
        if first != place:
            self.faults.append(f"{place}.Name: {declared.path!r} is declared at {first} already; names ignore case.")
        yield declared

    def _options(self, data: Any, place: str, kind: type[Options]) -> Options:
        names = properties_of(kind)
        data = self._object(data, place)
        self._only(data, place, tuple(names))
        values = {}
        for name, known in names.items():
            if name in data:
                try:
                    values[known.field] = known.from_json(data[name])
                except ValueError as error:
                    self.faults.append(f"{place}.{name}: {error}.")
        try:
            options = kind(**values)
            self.faults += [f"{place}: {fault}." for fault in options.faults()]
        except TypeError:  # never, for a duration that must end
            self.faults.append(f"{place}: a LockDuration and a history window must end, got {durations.NEVER}.")
            return kind()
        return options

    def _rules(self, data: dict[str, Any], place: str) -> Iterator[Rule]:
        for rule, at in self._list(data, place, "Rules"):
            self._only(rule, at, ("Name", "Properties"))
            values = self._object(rule.get("Properties"), f"{at}.Properties")
            self._only(values, f"{at}.Properties", ("FilterType", "CorrelationFilter", "SqlFilter", "Action"))
            name = rule.get("Name")
            if not isinstance(name, str):
                self.faults.append(f"{at}.Name: must be a text, got {json.dumps(name)}.")
                continue
            found = self._filter(values, f"{at}.Properties")
            action = self._object(values.get("Action") or {}, f"{at}.Properties.Action").get("SqlExpression")
            if found is not None:
                yield Rule(name, found, action)

    def _filter(self, values: dict[str, Any], place: str) -> SqlFilter | CorrelationFilter | None:
        kind = values.get("FilterType")
        if kind == "Sql":
            at = f"{place}.SqlFilter"
            expression = self._object(values.get("SqlFilter"), at).get("SqlExpression")
            if isinstance(expression, str):
                return SqlFilter(expression)
            self.faults.append(f"{at}.SqlExpression: must be a text, got {json.dumps(expression)}.")
        elif kind == "Correlation":
            at = f"{place}.CorrelationFilter"
            wanted = self._object(values.get("CorrelationFilter"), at)
            self._only(wanted, at, (*CORRELATION, "Properties"))
            given = {name: wanted[name] for name in CORRELATION if wanted.get(name) not in (None, "")}
            named = {CORRELATION[name]: str(value) for name, value in given.items()}
            properties = self._object(wanted.get("Properties") or {}, f"{at}.Properties")
            return CorrelationFilter(**named, properties=properties)
        else:
            self.faults.append(f"{place}.FilterType: must be Sql or Correlation, got {json.dumps(kind)}.")
        return None

    def _object(self, value: Any, place: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.faults.append(f"{place}: must be an object, got {json.dumps(value)[:60]}.")
        return {}

    def _list(
        self, data: dict[str, Any], place: str, name: str, *, required: bool = False
    ) -> Iterator[tuple[Any, str]]:
        value = data.get(name)
        if value is None and not required:
            return
        if not isinstance(value, list) or (required and not value):
            wanted = "a list of at least one" if required else "a list"
            self.faults.append(f"{place}.{name}: must be {wanted}, got {json.dumps(value)[:60]}.")
            return
        for index, each in enumerate(value):
            at = f"{place}.{name}[{index}]"
            yield self._object(each, at), at

    def _only(self, data: dict[str, Any], place: str, names: tuple[str, ...]) -> None:
        known = ", ".join(names)
        self.faults += [f"{place}.{name}: is not known here; known are {known}." for name in data if name not in names]
