"""What a Millrace stack exports (stacks/outputs.py).

Written by: python -m localcloud.offline.outputs_reader --write
"""

import msgspec

CONTRACT = 1
"""Raised with every breaking change."""


class LogIngestOutputs(msgspec.Struct, kw_only=True, rename="camel"):
    """The log_ingest system, for those who feed it and those who read its rows."""

    table: str
    """The custom table, as queries name it."""
    bucket: str
    """The S3 bucket that takes log files."""
    queue_url: str
    """The queue that is told of new files; a message may also be sent to it by hand."""
    dead_letter_queue_url: str | None = None
    """Where the queue puts what was received too often; None with an existing queue."""
    failed_url: str
    """The container of dead letters: whole files, lines and messages, each with its reason."""
    progress_url: str
    """The container of run summaries and per-file progress."""
    function_app: str
    """The function app's physical name."""


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
