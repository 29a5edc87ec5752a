"""Queue `alma-update` → one batch of records brought to what the run wants."""

from __future__ import annotations

from dataclasses import dataclass

from core.alma_analytics import alma_client, clients
from core.alma_analytics.update import Update
from core.clients.alma import Alma
from core.messages.alma_analytics import UpdateRecords
from core.runtime.context import Context
from core.runtime.outcome import Outcome


class Settings(alma_client.AlmaSettings, frozen=True, kw_only=True):
    """App settings."""

    alma_update_queue_endpoint: str
    alma_update_queue_name: str
    report_email_queue_endpoint: str
    report_email_queue_name: str


@dataclass(frozen=True, slots=True)
class Clients:
    """Once per process."""

    base: clients.Base
    alma: Alma


def connect(settings: Settings) -> Clients:
    """Makes the clients; contacts nobody yet."""
    base = clients.connect(settings)
    return Clients(base, alma_client.alma(base, settings))


def handle(message: UpdateRecords, context: Context[Clients]) -> Outcome:
    """One batch."""
    mine = context.clients
    return Update(mine.base.work(context.traceparent), mine.alma, message, context.deadline).execute()
