"""What starts a handler: `Every(schedule, run=…)`, `On(source, run=…)`. Each is a function of the worker's app."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pulumi

from components.errors import DeclarationError, require
from components.link import Link
from components.messaging import queue as bus
from components.messaging.subscription import Subscription
from components.packaging.manifest import (
    BusQueueTrigger,
    BusSubscriptionTrigger,
    Function,
    QueueTrigger,
    TimerTrigger,
    Trigger,
)
from components.storage.queue import Queue
from components.workers.ncrontab import ScheduleError, parse


@dataclass(frozen=True, slots=True)
class Every:
    """Runs `run` on a schedule; one run at a time over all instances."""

    schedule: pulumi.Input[str]
    """Six-field NCRONTAB in UTC: `0 */30 * * * *`."""
    run: str
    """The handler's module."""

    @property
    def name(self) -> str:
        """The function's name: the handler's own."""
        return self.run.rsplit(".", 1)[-1]

    @property
    def setting(self) -> str:
        """The app setting that holds the schedule, so that every environment runs the same package."""
        return f"{self.name.upper()}_SCHEDULE"

    def check(self, who: str) -> None:
        """Refuse a schedule that the platform would refuse."""
        if isinstance(self.schedule, str):
            require(
                len(self.schedule.split()) == 6,
                who,
                must="a schedule must have six fields: second minute hour day month weekday",
                got=repr(self.schedule),
                change='use for example "0 */30 * * * *"',
            )
            try:
                parse(self.schedule).next(datetime.now(UTC))
            except ScheduleError as error:
                raise DeclarationError(
                    who,
                    must="a schedule must be NCRONTAB that comes to pass",
                    got=repr(self.schedule),
                    change=str(error),
                ) from error

    def function(self) -> Function:
        """As the manifest lists it."""
        return Function(name=self.name, run=self.run, trigger=TimerTrigger(schedule=f"%{self.setting}%"))


Source = Queue | bus.Queue | Subscription
"""A storage queue, or a queue or subscription of Service Bus."""


@dataclass(frozen=True, slots=True)
class On:
    """Runs `run` for each message of `source`."""

    source: Source
    run: str
    """The handler's module."""
    batch: bool = False
    """One call for many messages (`handle(messages: list[Job], context)`), done or failed together. Service Bus."""

    @property
    def name(self) -> str:
        """The function's name: the handler's own."""
        return self.run.rsplit(".", 1)[-1]

    @property
    def inbox(self) -> str:
        """The source's name: with its kind unique in an app, whatever it is."""
        return self.source.queue_name if isinstance(self.source, Queue) else self.source.what

    @property
    def kind(self) -> str:
        """For people."""
        return "subscription" if isinstance(self.source, Subscription) else "queue"

    def check(self, who: str) -> None:
        """Refuse what is no declared queue, or is not for a step."""
        source = self.source
        if not isinstance(source, Source):
            raise DeclarationError(
                who,
                must="On(…) must be given a declared queue or subscription",
                got=repr(source),
                change='declare it first: jobs = Queue("jobs", QueueArgs(account=…)), then On(jobs, run=…)',
            )
        require(
            source.consumer == "step",
            who,
            must=f'{self.kind} "{self.inbox}" must be declared with consumer="step" to trigger a step',
            got=f"consumer={source.consumer!r}",
            change="take the trigger or the consumer away",
        )
        require(
            not (self.batch and isinstance(source, Queue)),
            who,
            must="batch=True must be of Service Bus: a storage queue's trigger hands over one message a call",
            got=f'storage queue "{self.inbox}"',
            change="take batch away; QueueOptions.batch_size says how many calls run at once",
        )
        require(
            isinstance(source, Queue) or source.dead_letter is not None or bool(source.args.forward_to),
            who,
            must=f'{self.kind} "{self.inbox}" must have a place for what the step gives up',
            got="dead_letter_queue=False",
            change="take dead_letter_queue=False away: only a container can do without",
        )

    def link(self, client_id: pulumi.Input[str]) -> Link:
        """What the trigger needs."""
        return self.source.trigger(client_id)

    def function(self) -> Function:
        """As the manifest lists it."""
        return Function(name=self.name, run=self.run, trigger=self._trigger())

    def _trigger(self) -> Trigger:
        source = self.source
        if isinstance(source, Queue):
            return QueueTrigger(queue=source.queue_name, connection=source.connection, encoding=source.encoding)
        sessions, batch = source.args.sessions, self.batch
        if isinstance(source, bus.Queue):
            return BusQueueTrigger(queue=source.what, connection=source.connection, sessions=sessions, batch=batch)
        return BusSubscriptionTrigger(
            topic=source.topic.what,
            subscription=source.subscription_name,
            connection=source.connection,
            sessions=sessions,
            batch=batch,
        )


Step = Every | On
