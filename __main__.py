"""Reads the stack's settings, builds the systems it names, exports their outputs. Nothing else."""

from collections.abc import Callable

from components.foundation.foundation import Foundation
from stacks.foundation import foundation
from stacks.log_ingest import log_ingest
from stacks.settings import SettingError, StackSettings, read_settings

SYSTEMS: dict[str, Callable[[StackSettings, Foundation], None]] = {"log_ingest": log_ingest}

settings = read_settings()
unknown = sorted(set(settings.systems) - SYSTEMS.keys())
if unknown:
    raise SettingError(
        f"stack {settings.environment.stack}: millrace:systems must name systems of {', '.join(SYSTEMS)}, "
        f"got {', '.join(unknown)}; run: pulumi config set --path 'millrace:systems[0]' log_ingest"
    )
base = foundation(settings)
for name in settings.systems:
    SYSTEMS[name](settings, base)
