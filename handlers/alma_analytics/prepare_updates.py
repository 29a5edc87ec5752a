"""Queue `update-prep` → the records that must change, in batches."""

from __future__ import annotations

from dataclasses import dataclass

from core.alma_analytics import clients, prepare
from core.clients.blob import BlobContainer
from core.messages.alma_analytics import PrepareUpdates
from core.runtime.context import Context
from core.runtime.outcome import Outcome


class Settings(clients.BaseSettings, frozen=True, kw_only=True):
    """App settings."""

    datasets_url: str
    update_prep_queue_endpoint: str
    update_prep_queue_name: str
    alma_update_queue_endpoint: str
    alma_update_queue_name: str
    report_email_queue_endpoint: str
    report_email_queue_name: str


@dataclass(frozen=True, slots=True)
class Clients:
    """Once per process."""

    base: clients.Base
    datasets: BlobContainer


def connect(settings: Settings) -> Clients:
    """Makes the clients; contacts nobody yet."""
    base = clients.connect(settings)
    return Clients(base, base.container(settings.datasets_url))


def handle(message: PrepareUpdates, context: Context[Clients]) -> Outcome:
    """One run's updates."""
    mine = context.clients
    return prepare.prepare_updates(mine.base.work(context.traceparent), mine.datasets, message)
