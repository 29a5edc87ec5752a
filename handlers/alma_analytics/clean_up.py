"""Queue `cleanup` → the blobs of a run that is over are removed."""

from __future__ import annotations

from dataclasses import dataclass

from core.alma_analytics import clean_up, clients
from core.clients.blob import BlobContainer
from core.messages.alma_analytics import CleanUp
from core.runtime.context import Context
from core.runtime.outcome import Outcome


class Settings(clients.BaseSettings, frozen=True, kw_only=True):
    """App settings."""

    pages_url: str
    datasets_url: str


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


def handle(message: CleanUp, context: Context[Clients]) -> Outcome:
    """One run."""
    mine = context.clients
    return clean_up.clean_up(mine.base.work(context.traceparent), mine.pages, mine.datasets, message)
