"""Queue `data-combine` → all pages of one report as one dataset."""

from __future__ import annotations

from dataclasses import dataclass

from core.alma_analytics import clients, combine
from core.clients.blob import BlobContainer
from core.messages.alma_analytics import Combine
from core.runtime.context import Context
from core.runtime.outcome import Outcome


class Settings(clients.BaseSettings, frozen=True, kw_only=True):
    """App settings."""

    pages_url: str
    datasets_url: str
    data_combine_queue_endpoint: str
    data_combine_queue_name: str
    cross_reference_queue_endpoint: str
    cross_reference_queue_name: str
    update_prep_queue_endpoint: str
    update_prep_queue_name: str
    report_email_queue_endpoint: str
    report_email_queue_name: str


@dataclass(frozen=True, slots=True)
class Clients:
    """Once per process."""

    base: clients.Base
    pages: BlobContainer
    datasets: BlobContainer


def connect(settings: Settings) -> Clients:
    """Makes the clients; contacts nobody yet."""
    base = clients.connect(settings)
    return Clients(base, base.container(settings.pages_url), base.container(settings.datasets_url))


def handle(message: Combine, context: Context[Clients]) -> Outcome:
    """One report's pages."""
    mine = context.clients
    return combine.combine(mine.base.work(context.traceparent), mine.pages, mine.datasets, message)
