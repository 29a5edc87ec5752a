"""log_ingest: log files in S3 → SQS → a timed function → Log Analytics, without a stored AWS credential."""

import pulumi

from components.aws.log_bucket import LogBucket, LogBucketArgs
from components.aws.trust import EntraTrust, EntraTrustArgs
from components.foundation.foundation import Foundation
from components.foundation.resource_group import ResourceGroup
from components.link import Link
from components.monitoring.collector import data_collector
from components.monitoring.log_table import LogTable, LogTableArgs
from components.storage.account import Account, AccountArgs
from components.storage.container import Container, ContainerArgs
from components.system import System
from components.workers.function_worker import FunctionWorker, FunctionWorkerArgs
from components.workers.steps import Every
from core.messages.log_ingest import Row
from stacks.columns import columns_of
from stacks.outputs import LogIngestOutputs, export
from stacks.settings import SettingError, StackSettings

TABLE = "Code42Logs_CL"
TIME_LIMIT_S = 300
FINISH_S = 30  # of the time limit: to finish what is in hand and report
VISIBILITY_S = 360  # longer than a whole run, so that no message comes back while it is worked on


def log_ingest(stack: StackSettings, base: Foundation) -> None:
    """Declare the system."""
    settings = stack.log_ingest
    system = System("log_ingest", stack.environment)
    group = ResourceGroup("log-ingest", stack.environment, opts=system.child)
    source = LogBucket(
        "source",
        LogBucketArgs(
            trust=_trust(stack, system),
            visibility_s=VISIBILITY_S,
            writers=settings.bucket_writers,
            existing_bucket=settings.existing_bucket,
            existing_queue_arn=settings.existing_queue_arn,
        ),
        opts=system.child,
    )
    data = Account("ingest", AccountArgs(group=group), opts=system.child)
    progress = Container("progress", ContainerArgs(account=data), opts=system.child)
    failed = Container("failed", ContainerArgs(account=data), opts=system.child)
    worker = FunctionWorker(
        "log-ingest",
        FunctionWorkerArgs(
            group=group,
            foundation=base,
            system=system.name,
            steps=[Every(settings.schedule, run="handlers.log_ingest.ingest")],
            uses=[source.consume(), _table(stack, base, system), progress.write(), failed.write()],
            environment=_options(stack),
            time_limit_s=TIME_LIMIT_S,
            plan=settings.plan,
            memory_mb=settings.memory_mb,
            max_instances=settings.max_instances,
        ),
        opts=system.child,
    )
    if base.alerts:
        base.alerts.watch_dead_letters("ingest", failed, parent=system)
    outputs = {
        "table": TABLE,
        "bucket": source.bucket_name,
        "queue_url": source.queue_url,
        "dead_letter_queue_url": source.dead_letter_queue_url,
        "failed_url": failed.url,
        "progress_url": progress.url,
        "function_app": worker.app_name,
    }
    export("logIngest", LogIngestOutputs, outputs)
    system.finish(outputs)


def _trust(stack: StackSettings, system: System) -> EntraTrust:
    if stack.aws is None:
        key = f"{pulumi.get_project()}:aws"
        raise SettingError(
            key,
            must="must name the AWS account (accountId) and the audience of log_ingest",
            got="nothing",
            run=f"pulumi config set --path '{key}.accountId' ID",
        )
    return EntraTrust(
        "entra",
        EntraTrustArgs(
            environment=stack.environment, audience=stack.aws.audience, provider_arn=stack.aws.oidc_provider_arn
        ),
        opts=system.child,
    )


def _table(stack: StackSettings, base: Foundation, system: System) -> Link:
    """The right to write rows: by identity, or by the legacy collector where a stack asks for it."""
    if stack.log_ingest.upload == "data_collector":
        return data_collector(base, log_type=TABLE.removesuffix("_CL"))
    args = LogTableArgs(workspace=base.workspace, table=TABLE, columns=columns_of(Row), unique_by=("Record_Id", "Part"))
    return LogTable("table", args, opts=system.child).write()


def _options(stack: StackSettings) -> dict[str, pulumi.Input[str]]:
    settings = stack.log_ingest
    return {
        "UPLOAD": settings.upload,
        "MODE": settings.mode,
        "MAX_AGE_DAYS": "" if settings.max_age_days is None else str(settings.max_age_days),
        "MAX_OBJECT_MB": str(settings.max_object_mb),
        "STALL_RUNS": str(settings.stall_runs),
        "LENIENT_TRIES": str(settings.lenient_tries),
        "RECEIVE_WAIT_S": str(settings.receive_wait_s),
        "VISIBILITY_S": str(VISIBILITY_S),
        "SAFE_S": str(TIME_LIMIT_S - FINISH_S),
    }
