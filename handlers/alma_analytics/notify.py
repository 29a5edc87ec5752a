"""Queue `report-email` → the job's people are told what came of the run."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from core.alma_analytics import clients, notify
from core.clients.blob import BlobContainer
from core.clients.mail import Resend
from core.clients.smtp import Smtp
from core.messages.alma_analytics import Notify
from core.runtime.context import Context
from core.runtime.outcome import Outcome
from core.runtime.settings import ca_file


class Settings(clients.BaseSettings, frozen=True, kw_only=True):
    """App settings."""

    reports_url: str
    mail_url: str
    """Resend's API, or `smtp://host:port` of a server that cannot promise "once"."""
    mail_key: str
    mail_user: str = ""
    """SMTP only."""
    mail_from: str


@dataclass(frozen=True, slots=True)
class Clients:
    """Once per process."""

    base: clients.Base
    reports: BlobContainer
    mailer: notify.Mailer


def connect(settings: Settings) -> Clients:
    """Makes the clients; contacts nobody yet."""
    base = clients.connect(settings)
    mailer: notify.Mailer
    server = urlsplit(settings.mail_url)
    if server.scheme == "smtp":
        mailer = Smtp(
            host=server.hostname or "", port=server.port or 587, user=settings.mail_user, password=settings.mail_key,
            sender=settings.mail_from, ca_file=ca_file(),
        )  # fmt: skip
    else:
        mailer = Resend(base.http, url=settings.mail_url, key=settings.mail_key, sender=settings.mail_from)
    return Clients(base, base.container(settings.reports_url), mailer)


def handle(message: Notify, context: Context[Clients]) -> Outcome:
    """One letter."""
    mine = context.clients
    return notify.notify(mine.base.work(context.traceparent), mine.reports, mine.mailer, message)
