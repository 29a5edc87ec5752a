"""The HTTP Data Collector: the legacy way into Log Analytics, for workspaces that still live on it.

Its support ended 2026-09-14 and it knows no identity: the workspace's shared key is put into the vault by a person and
reaches the handler as a Key Vault reference. Use `LogTable` wherever you can.
"""

import pulumi

from components.foundation.foundation import Foundation
from components.link import Link

SECRET = "log-collector-key"  # noqa: S105  the secret's name


def data_collector(foundation: Foundation, *, log_type: str) -> Link:
    """The right to write records of `log_type` (the table is `{log_type}_CL`), by the key in the vault."""
    customer = foundation.workspace.customer_id
    secret = foundation.vault.secret(SECRET, setting="COLLECTOR_KEY")
    return Link(
        name="collector.write",
        settings={
            **secret.settings,
            "COLLECTOR_ENDPOINT": foundation.environment.collector_url
            or pulumi.Output.concat("https://", customer, ".ods.opinsights.azure.com"),
            "COLLECTOR_WORKSPACE_ID": customer,
            "COLLECTOR_LOG_TYPE": log_type,
        },
        grants=secret.grants,
    )
