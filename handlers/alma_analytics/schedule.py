"""Timer → a run for each report job that is due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from core.alma_analytics import clients
from core.alma_analytics.clients import Base, BaseSettings
from core.alma_analytics.starting import Scheduler
from core.messages.ticks import TimerTick
from core.runtime.context import Context
from core.runtime.outcome import Done, Outcome, Retry

SAFE_S: Final = 15.0
"""No further job is begun with less time left."""


class Settings(BaseSettings, frozen=True, kw_only=True):
    """App settings."""

    api_fetch_queue_endpoint: str
    api_fetch_queue_name: str


def connect(settings: Settings) -> Base:
    """Makes the clients; contacts nobody yet."""
    return clients.connect(settings)


def handle(tick: TimerTick, context: Context[Base]) -> Outcome:  # noqa: ARG001 - a timer says nothing but "now"
    """Starts what is due."""
    scheduler = Scheduler(
        context.clients.database, context.clients.outbox, traceparent=context.traceparent,
        now=lambda: datetime.now(UTC), time_left=lambda: context.deadline.left() > SAFE_S,
    )  # fmt: skip
    ticked = scheduler.tick()
    if ticked.unsent:
        return Retry(f"started {', '.join(ticked.started)}; messages wait for the sweep: {ticked.problems}")
    return Done(
        counts={"in": len(ticked.started), "dead": len(ticked.problems)},
        summary={"started": ticked.started, "waiting": ticked.waiting, "problems": ticked.problems},
    )
