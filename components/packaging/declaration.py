"""An `App` as one line of text and back: what a package's resource keeps, to plan the same package again."""

import json
from dataclasses import asdict

from components.packaging.manifest import App, Function, QueueOptions, QueueTrigger, TimerTrigger

_TRIGGERS = {"timer": TimerTrigger, "queue": QueueTrigger}


def dump(app: App) -> str:
    """Canonical JSON: equal declarations give equal text."""
    functions = [one.manifest() for one in sorted(app.functions, key=lambda one: one.name)]
    return json.dumps({**asdict(app), "functions": functions}, sort_keys=True)


def load(text: str) -> App:
    """The declaration that `dump` wrote."""
    values = json.loads(text)
    functions = []
    for one in values["functions"]:
        trigger = dict(one["trigger"])
        functions.append(Function(name=one["name"], run=one["run"], trigger=_TRIGGERS[trigger.pop("type")](**trigger)))
    return App(**{**values, "functions": tuple(functions), "queues": QueueOptions(**values["queues"])})
