"""What a stack tells others: the typed contract of its outputs. Adding a field is free; changing one is not."""

from typing import Any

import msgspec
import pulumi


class LogIngestOutputs(msgspec.Struct, kw_only=True, rename="camel"):
    """The log_ingest system, for those who feed it and those who read its rows."""

    table: str
    """The custom table, as queries name it."""
    bucket: str
    """The S3 bucket that takes log files."""
    queue_url: str
    """The queue that is told of new files; a message may also be sent to it by hand."""
    dead_letter_queue_url: str | None
    """Where the queue puts what was received too often; None with an existing queue."""
    failed_url: str
    """The container of dead letters: whole files, lines and messages, each with its reason."""
    progress_url: str
    """The container of run summaries and per-file progress."""
    function_app: str
    """The function app's physical name."""


class AlmaAnalyticsOutputs(msgspec.Struct, kw_only=True, rename="camel"):
    """The alma_analytics system, for those who look into its runs and reports."""

    database_endpoint: str
    """The PostgreSQL server, as `host` or `host:port`."""
    database_name: str
    """The database with report jobs, runs and records."""
    reports_url: str
    """The container with each run's CSV."""
    function_apps: list[str]
    """The five function apps' physical names, in the order of the pipeline."""


class FoundationOutputs(msgspec.Struct, kw_only=True, rename="camel"):
    """What every system of the stack shares."""

    workspace_id: str
    """The Log Analytics workspace's resource id."""
    vault_uri: str
    """Where outside secrets are put."""


class StackOutputs(msgspec.Struct, kw_only=True, rename="camel"):
    """All outputs of a stack; a system that is not deployed is absent."""

    foundation: FoundationOutputs
    log_ingest: LogIngestOutputs | None = None
    alma_analytics: AlmaAnalyticsOutputs | None = None


def export(name: str, type_: type[msgspec.Struct], values: dict[str, Any]) -> None:
    """Export one part under its contract's own names; a value that is missing or too much is refused."""
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(type_)}
    if values.keys() != fields.keys():
        raise pulumi.RunError(
            f"outputs of {name}: must be {sorted(fields)}, got {sorted(values)}; "
            "change stacks/outputs.py and the stack together"
        )
    pulumi.export(name, {fields[key]: value for key, value in values.items()})
