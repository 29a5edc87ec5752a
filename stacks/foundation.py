"""The foundation of a stack: what all systems share."""

import pulumi

from components.foundation.foundation import Foundation
from stacks.outputs import FoundationOutputs, export
from stacks.settings import StackSettings


def foundation(settings: StackSettings) -> Foundation:
    """Declare it once per stack."""
    legacy = "log_ingest" in settings.systems and settings.log_ingest.upload == "data_collector"
    base = Foundation(settings.environment, shared_keys=legacy)
    if settings.environment.keeps_data and not settings.environment.alert_emails:
        pulumi.log.warn(
            f"stack {settings.environment.stack} keeps data, and nobody is told when something fails; run: "
            f"pulumi config set --path '{pulumi.get_project()}:alerts.emails[0]' ADDRESS"
        )
    export(
        "foundation",
        FoundationOutputs,
        {"workspace_id": base.workspace.id, "vault_uri": base.vault.uri},
    )
    return base
