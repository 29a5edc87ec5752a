"""What every place for messages has in common: somebody must empty it, and a system is checked for that as a whole."""

from typing import ClassVar, Literal

import pulumi

from components.errors import require

Consumer = Literal["step", "operator", "external"]


class Inbox(pulumi.ComponentResource):
    """Holds messages until its consumer takes them; `System.finish` refuses one that nobody empties."""

    must: ClassVar[str] = "every queue must have a consumer"
    change: ClassVar[str] = 'add a step with On(queue, …), or declare it with consumer="operator" or "external"'
    who: str
    """For messages: `Queue "jobs"`."""
    consumed_by: list[str]
    """Workers (and whatever else is part of the program) that empty it."""

    def __init__(self, token: str, name: str, consumer: Consumer, opts: pulumi.ResourceOptions | None) -> None:
        """`token`: the component's own."""
        super().__init__(token, name, None, opts)
        self.consumer = consumer
        self.consumed_by = []
        self.who = f'{token.rpartition(":")[2]} "{name}"'

    @property
    def is_forgotten(self) -> bool:
        """Whether a part of the program should empty it and none does."""
        return self.consumer == "step" and not self.consumed_by


def check_consumer(who: str, consumer: Consumer) -> None:
    """Refuse a consumer that is none."""
    require(
        consumer in ("step", "operator", "external"),
        who,
        must="consumer must be step, operator or external",
        got=repr(consumer),
        change="say who empties the queue",
    )
