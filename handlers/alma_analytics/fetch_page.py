"""Queue `api-fetch` → one page of a report: to blob, and the next page to the queue."""

from __future__ import annotations

from dataclasses import dataclass

from core.alma_analytics import alma_client, clients
from core.alma_analytics.fetch import Fetch
from core.clients.alma import Alma
from core.clients.blob import BlobContainer
from core.messages.alma_analytics import FetchPage
from core.runtime.context import Context
from core.runtime.outcome import Outcome


class Settings(alma_client.AlmaSettings, frozen=True, kw_only=True):
    """App settings."""

    pages_url: str
    api_fetch_queue_endpoint: str
    api_fetch_queue_name: str
    data_combine_queue_endpoint: str
    data_combine_queue_name: str
    report_email_queue_endpoint: str
    report_email_queue_name: str


@dataclass(frozen=True, slots=True)
class Clients:
    """Once per process."""

    base: clients.Base
    alma: Alma
    pages: BlobContainer


def connect(settings: Settings) -> Clients:
    """Makes the clients; contacts nobody yet."""
    base = clients.connect(settings)
    return Clients(base, alma_client.alma(base, settings), base.container(settings.pages_url))


def handle(message: FetchPage, context: Context[Clients]) -> Outcome:
    """One page."""
    mine = context.clients
    return Fetch(mine.base.work(context.traceparent), mine.alma, mine.pages, message).execute()
