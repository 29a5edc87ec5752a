"""Timer → messages that a dead process left are sent, and old runs cleaned up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta

from core.alma_analytics import clients
from core.alma_analytics.clients import Base, BaseSettings
from core.alma_analytics.sweeping import Sweep
from core.messages.ticks import TimerTick
from core.runtime.context import Context
from core.runtime.outcome import Done, Outcome, Retry

SAFE_S: Final = 15.0
"""No further run is looked at with less time left."""


class Settings(BaseSettings, frozen=True, kw_only=True):
    """App settings."""

    api_fetch_queue_endpoint: str
    api_fetch_queue_name: str
    cleanup_queue_endpoint: str
    cleanup_queue_name: str
    cleanup_days: Annotated[int, Meta(ge=0)] = 30
    """A run's blobs are removed so many days after its end."""


def connect(settings: Settings) -> tuple[Base, timedelta]:
    """Makes the clients; contacts nobody yet."""
    return clients.connect(settings), timedelta(days=settings.cleanup_days)


def handle(tick: TimerTick, context: Context[tuple[Base, timedelta]]) -> Outcome:  # noqa: ARG001 - a timer says nothing but "now"
    """One sweep."""
    base, after = context.clients
    sweep = Sweep(
        base.database, base.outbox, clean_up_after=after, traceparent=context.traceparent,
        now=lambda: datetime.now(UTC), time_left=lambda: context.deadline.left() > SAFE_S,
    )  # fmt: skip
    swept = sweep.execute()
    if swept.problems:
        return Retry(f"sent {swept.sent}; these runs' messages wait on: {swept.problems}")
    return Done(counts={"in": swept.sent}, summary={"sent": swept.sent, "clean_up": swept.asked})
