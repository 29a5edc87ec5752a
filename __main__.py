"""Reads the stack's settings, builds the systems it names, exports their outputs. Nothing else."""

from collections.abc import Callable

from components.foundation.foundation import Foundation
from stacks.alma_analytics import alma_analytics
from stacks.foundation import foundation
from stacks.log_ingest import log_ingest
from stacks.settings import StackSettings, read_settings

SYSTEMS: dict[str, Callable[[StackSettings, Foundation], None]] = {
    "log_ingest": log_ingest,
    "alma_analytics": alma_analytics,
}

settings = read_settings(SYSTEMS)
base = foundation(settings)
for name in settings.systems:
    SYSTEMS[name](settings, base)
