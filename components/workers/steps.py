"""What starts a handler: `Every(schedule, run=…)`, `On(queue, run=…)`. Each is a function of the worker's app."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pulumi

from components.errors import DeclarationError, require
from components.packaging.manifest import Function, QueueTrigger, TimerTrigger
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


@dataclass(frozen=True, slots=True)
class On:
    """Runs `run` for each message of `queue`."""

    queue: Queue
    run: str
    """The handler's module."""

    @property
    def name(self) -> str:
        """The function's name: the handler's own."""
        return self.run.rsplit(".", 1)[-1]

    def check(self, who: str) -> None:
        """Refuse what is no declared queue."""
        if not isinstance(self.queue, Queue):
            raise DeclarationError(
                who,
                must="On(…) must be given a declared queue",
                got=repr(self.queue),
                change='declare it first: jobs = Queue("jobs", QueueArgs(account=…)), then On(jobs, run=…)',
            )
        require(
            self.queue.consumer == "step",
            who,
            must=f'queue "{self.queue.queue_name}" must be declared with consumer="step" to trigger a step',
            got=f"consumer={self.queue.consumer!r}",
            change="take the trigger or the consumer away",
        )

    def function(self) -> Function:
        """As the manifest lists it."""
        trigger = QueueTrigger(
            queue=self.queue.queue_name, connection=self.queue.connection, encoding=self.queue.encoding
        )
        return Function(name=self.name, run=self.run, trigger=trigger)


Step = Every | On
