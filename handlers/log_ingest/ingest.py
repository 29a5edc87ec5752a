"""Timer → what the log queue announces, into the Log Analytics table."""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec

from core.clients import blob, logs_ingestion
from core.clients.aws_session import AwsSession
from core.clients.blob import BlobContainer
from core.clients.data_collector import DataCollector
from core.clients.http import Http
from core.clients.logs_ingestion import LogsIngestion
from core.clients.managed_identity import ManagedIdentity
from core.clients.s3_objects import S3Objects
from core.clients.sqs_queue import SqsQueue
from core.log_ingest.ports import Clients, Rules
from core.log_ingest.run import Run
from core.messages.ticks import TimerTick
from core.runtime.context import Context
from core.runtime.outcome import Done, Outcome
from core.runtime.settings import SettingsError, ca_file, identity_endpoint


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """App settings; see core.log_ingest.ports.Rules for what the rules mean."""

    azure_client_id: str
    source_queue_url: str
    source_role_arn: str
    source_region: str
    source_audience: str
    progress_url: str
    failed_url: str
    upload: Literal["logs_ingestion", "data_collector"] = "logs_ingestion"
    table_endpoint: str = ""
    table_rule_id: str = ""
    table_stream: str = ""
    collector_endpoint: str = ""
    collector_workspace_id: str = ""
    collector_key: str = ""
    collector_log_type: str = ""
    mode: Literal["strict", "lenient"] = "strict"
    lenient_tries: int = 5
    max_age_days: int | None = None
    max_object_mb: int = 2048
    stall_runs: int = 5
    safe_s: float = 270.0
    files_at_once: int = 48
    receive_wait_s: int = 5
    visibility_s: int = 360
    retry_s: int = 10


def connect(settings: Settings) -> Clients:
    """Makes the clients; contacts nobody yet."""
    endpoint, header = identity_endpoint()
    http = Http(ca_file=ca_file(), connections=2 * settings.files_at_once)
    identity = ManagedIdentity(http, endpoint=endpoint, header=header, client_id=settings.azure_client_id)
    aws = AwsSession(
        identity, role_arn=settings.source_role_arn, audience=settings.source_audience,
        region=settings.source_region, name="log-ingest", ca_file=ca_file(),
    )  # fmt: skip
    return Clients(
        queue=SqsQueue(aws, url=settings.source_queue_url, connections=settings.files_at_once + 1),
        objects=S3Objects(aws, connections=settings.files_at_once),
        upload=_upload(settings, http, identity),
        progress=BlobContainer(http, identity, url=settings.progress_url),
        failed=BlobContainer(http, identity, url=settings.failed_url),
        rules=Rules(
            lenient=settings.mode == "lenient", lenient_tries=settings.lenient_tries,
            max_age_days=settings.max_age_days, max_object_bytes=settings.max_object_mb * 1024 * 1024,
            stall_runs=settings.stall_runs, safe_s=settings.safe_s, finish_s=settings.safe_s + 15,
            files_at_once=settings.files_at_once, uploads_at_once=32,
            receive_wait_s=settings.receive_wait_s, visibility_s=settings.visibility_s, retry_s=settings.retry_s,
        ),
        early=[partial(identity.token, audience) for audience in _audiences(settings)],
    )  # fmt: skip


def _audiences(settings: Settings) -> list[str]:
    """For whom a run needs tokens."""
    found = [settings.source_audience, blob.AUDIENCE]
    return found if settings.upload == "data_collector" else [*found, logs_ingestion.AUDIENCE]


def _upload(settings: Settings, http: Http, identity: ManagedIdentity) -> LogsIngestion | DataCollector:
    prefix = "collector_" if settings.upload == "data_collector" else "table_"
    names = [name for name in settings.__struct_fields__ if name.startswith(prefix)]
    if missing := ", ".join(name.upper() for name in names if not getattr(settings, name)):
        raise SettingsError(f"{missing} must be set while UPLOAD is {settings.upload}; add them to the app's settings")
    if settings.upload == "data_collector":
        return DataCollector(
            http, endpoint=settings.collector_endpoint, workspace_id=settings.collector_workspace_id,
            key=settings.collector_key, log_type=settings.collector_log_type,
        )  # fmt: skip
    return LogsIngestion(
        http, identity, endpoint=settings.table_endpoint, rule_id=settings.table_rule_id, stream=settings.table_stream
    )


def handle(tick: TimerTick, context: Context[Clients]) -> Outcome:  # noqa: ARG001 - a timer says nothing but "now"
    """One run."""
    run = Run(context.clients, context.clients.rules, context.deadline, context.log, name=context.invocation_id)
    summary = run.execute()
    counts = {
        "in": summary.records_in, "out": summary.records_out,
        "dead": summary.records_dead, "skipped": summary.records_skipped,
    }  # fmt: skip
    shown = msgspec.structs.replace(
        summary, skipped=summary.skipped[:20]
    )  # a log line has limits; the kept one has all
    return Done(counts=counts, summary=shown)
