"""An `App` as one line of text and back: what a package's resource keeps, to plan the same package again."""

import json
from dataclasses import asdict

from components.packaging.manifest import (
    BUS_TYPES,
    App,
    BusOptions,
    Function,
    QueueOptions,
    QueueTrigger,
    TimerTrigger,
)

_TRIGGERS = {"timer": TimerTrigger, "queue": QueueTrigger, **{name: kind for kind, name in BUS_TYPES.items()}}


def dump(app: App) -> str:
    """Canonical JSON: equal declarations give equal text."""
    functions = [one.manifest() for one in sorted(app.functions, key=lambda one: one.name)]
    values = asdict(app)
    if not app.on_bus:
        del values["bus"]  # what says nothing about the package is no change of it
    return json.dumps({**values, "functions": functions}, sort_keys=True)


def load(text: str) -> App:
    """The declaration that `dump` wrote."""
    values = json.loads(text)
    functions = []
    for one in values["functions"]:
        trigger = dict(one["trigger"])
        functions.append(Function(name=one["name"], run=one["run"], trigger=_TRIGGERS[trigger.pop("type")](**trigger)))
    options = {"queues": QueueOptions(**values["queues"]), "bus": BusOptions(**values.get("bus", {}))}
    return App(**{**values, "functions": tuple(functions), **options})
