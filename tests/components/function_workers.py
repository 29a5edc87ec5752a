"""A small program with one function worker, for tests that look at what it declares or refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.storage.container import Container, ContainerArgs
from components.storage.queue import Queue, QueueArgs
from components.workers.function_worker import FunctionWorker, FunctionWorkerArgs
from components.workers.steps import Every, On
from tests.components.program import Base, Declared, declare, project

HANDLERS = {"demo.work": ["jobs_queue_name: str", "out_url: str", "limit: int = 3"], "demo.tick": []}


Change = Callable[["Parts"], dict[str, Any]]


class Parts(Base):
    """What a worker of these tests can use."""

    def __init__(self, root: Path, **changes: Any) -> None:
        super().__init__(root, **changes)
        self.jobs = Queue("jobs", QueueArgs(account=self.account), opts=self.system.child)
        self.next = Queue("next", QueueArgs(account=self.account, consumer="external"), opts=self.system.child)
        self.out = Container("out", ContainerArgs(account=self.account), opts=self.system.child)


def worker(root: Path, change: Change = lambda _parts: {}, **changes: Any) -> Declared:
    """A queue-triggered worker; `change` replaces its arguments, `changes` those of the environment."""

    def main() -> None:
        parts = Parts(project(root, HANDLERS), **changes)
        fields: dict[str, Any] = {
            "group": parts.group,
            "foundation": parts.foundation,
            "system": "demo",
            "steps": [On(parts.jobs, run="handlers.demo.work")],
            "uses": [parts.jobs.send(), parts.out.write()],
        }
        FunctionWorker("demo", FunctionWorkerArgs(**(fields | change(parts))), opts=parts.system.child)

    return declare(main)


def timed(root: Path, schedule: str = "0 */5 * * * *", **changes: Any) -> Declared:
    return worker(root, lambda _parts: {"steps": [Every(schedule, run="handlers.demo.tick")], "uses": [], **changes})
