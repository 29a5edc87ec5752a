# ruff: noqa: INP001  a Pulumi program of its own, in its own folder
"""Another team's program: reads where a Millrace stack keeps its rows and takes its log files, typed."""

import pulumi
from millrace_outputs.reading import read_outputs
from millrace_outputs.shapes import StackOutputs


def daily_query(outputs: StackOutputs) -> str:
    """How many rows a day, in Kusto; a stack need not have every system."""
    if outputs.log_ingest is None:
        return "no log_ingest in this stack"
    return f"{outputs.log_ingest.table} | summarize count() by bin(TimeGenerated, 1d)"


config = pulumi.Config()
millrace = read_outputs(pulumi.StackReference(config.require("millraceStack")))

pulumi.export("workspaceId", millrace.apply(lambda outputs: outputs.foundation.workspace_id))
pulumi.export("dailyQuery", millrace.apply(daily_query))
pulumi.export("putFilesInto", millrace.apply(lambda outputs: outputs.log_ingest.bucket if outputs.log_ingest else None))
