"""Alma, at the pace that all instances of all apps keep together."""

from __future__ import annotations

from core.alma_analytics.clients import Base, BaseSettings
from core.alma_analytics.pace import Pace
from core.clients.alma import Alma
from core.clients.http import Http
from core.runtime.settings import ca_file


class AlmaSettings(BaseSettings, frozen=True, kw_only=True):
    """What the steps that speak to Alma are told."""

    alma_url: str
    alma_key: str
    alma_per_second: float = 25
    """Alma's limit for the institution's key; all instances together keep it."""


def alma(base: Base, settings: AlmaSettings) -> Alma:
    """One try a call, as Alma's cursors want it."""
    pace = Pace(base.database, per_second=settings.alma_per_second)
    return Alma(Http(ca_file=ca_file(), tries=1), url=settings.alma_url, key=settings.alma_key, pace=pace)
