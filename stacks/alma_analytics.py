"""alma_analytics: schedule → fetch pages → combine → cross-reference → prepare → update Alma → tell people, clean up.

    RG scheduling-ingest          RG processing                                     RG egress
    scheduler ─▶ api-fetch ─▶ apifetcher ─▶ data-combine ─▶ dataprep
                  ▲  page by page │                          │ cross-reference ⟲
                  └───────────────┘                          │ update-prep ⟲
                                                             └▶ alma-update ─▶ updater ─▶ report-email ─▶ notifier
    scheduler ─▶ cleanup ─▶ notifier                              ⟲ later, when Alma says so

Each app scales by its own queues; all share the storage account, the database and the vault of RG core-infra.
"""

from collections.abc import Sequence

import pulumi

from components.data.database import Database, DatabaseArgs
from components.foundation.foundation import Foundation
from components.foundation.resource_group import ResourceGroup
from components.link import Link
from components.packaging.manifest import QueueOptions
from components.storage.account import Account, AccountArgs
from components.storage.container import Container, ContainerArgs
from components.storage.queue import Queue, QueueArgs
from components.system import System
from components.workers.function_worker import FunctionWorker, FunctionWorkerArgs
from components.workers.steps import Every, On, Step
from stacks.outputs import AlmaAnalyticsOutputs, export
from stacks.settings import StackSettings

MIGRATIONS = ("core/jobs/migrations", "core/alma_analytics/migrations")
ALMA_AT_ONCE = QueueOptions(batch_size=4, new_batch_threshold=3, visibility_timeout_s=20)
"""Calls that wait for Alma, an instance: the pace is kept over all of them, so more would only wait."""
ONE_AT_ONCE = QueueOptions(batch_size=1, new_batch_threshold=0, visibility_timeout_s=30)
"""Datasets fill an instance's memory: one at a time, and another instance for the next."""


def alma_analytics(stack: StackSettings, base: Foundation) -> None:
    """Declare the system."""
    settings = stack.alma_analytics
    system = System("alma_analytics", stack.environment)
    core = ResourceGroup("alma-core-infra", stack.environment, opts=system.child)
    ingest = ResourceGroup("alma-scheduling-ingest", stack.environment, opts=system.child)
    processing = ResourceGroup("alma-processing", stack.environment, opts=system.child)
    egress = ResourceGroup("alma-egress", stack.environment, opts=system.child)

    data = Account("alma", AccountArgs(group=core), opts=system.child)
    database = Database(
        "database",
        DatabaseArgs(group=core, foundation=base, migrations=MIGRATIONS, storage_gb=settings.database_gb),
        opts=system.child,
    )
    database.operator("alma_operator")
    api_fetch = _queue("api-fetch", data)
    data_combine = _queue("data-combine", data)
    cross_reference = _queue("cross-reference", data)
    update_prep = _queue("update-prep", data)
    alma_update = _queue("alma-update", data)
    report_email = _queue("report-email", data)
    cleanup = _queue("cleanup", data)
    pages = Container("pages", ContainerArgs(account=data), opts=system.child)
    datasets = Container("datasets", ContainerArgs(account=data), opts=system.child)
    reports = Container("reports", ContainerArgs(account=data), opts=system.child)
    alma_key = base.vault.secret("alma-key", setting="ALMA_KEY")
    mail_key = base.vault.secret("mail-key", setting="MAIL_KEY")
    alma = {"ALMA_URL": stack.alma_url, "ALMA_PER_SECOND": str(settings.alma_per_second)}
    mail = {
        "MAIL_URL": stack.mail_url,
        "MAIL_USER": settings.mail_user,
        "MAIL_FROM": settings.mail_from,
    }

    def app(
        name: str,
        group: ResourceGroup,
        steps: Sequence[Step],
        uses: Sequence[Link],
        environment: dict[str, str] | None = None,
        queues: QueueOptions | None = None,
    ) -> FunctionWorker:
        return FunctionWorker(
            f"alma-{name}",
            FunctionWorkerArgs(
                group=group,
                foundation=base,
                system=system.name,
                steps=steps,
                uses=[database.connect(f"alma_{name}"), *uses],
                environment=dict[str, pulumi.Input[str]](environment or {}),
                queues=queues or QueueOptions(),
                plan=settings.plan,
                memory_mb=settings.memory_mb,
                max_instances=getattr(settings.max_instances, name),
            ),
            opts=system.child,
        )

    scheduler = app(
        "scheduler",
        ingest,
        steps=[
            Every(settings.schedule, run="handlers.alma_analytics.schedule"),
            Every(settings.sweep_schedule, run="handlers.alma_analytics.sweep"),
        ],
        uses=[api_fetch.send(), cleanup.send()],
        environment={"CLEANUP_DAYS": str(settings.cleanup_days)},
    )
    apifetcher = app(
        "apifetcher",
        ingest,
        steps=[On(api_fetch, run="handlers.alma_analytics.fetch_page")],
        uses=[alma_key, pages.write(), api_fetch.send(), data_combine.send(), report_email.send()],
        environment=alma,
        queues=ALMA_AT_ONCE,
    )
    dataprep = app(
        "dataprep",
        processing,
        steps=[
            On(data_combine, run="handlers.alma_analytics.combine"),
            On(cross_reference, run="handlers.alma_analytics.cross_reference"),
            On(update_prep, run="handlers.alma_analytics.prepare_updates"),
        ],
        uses=[
            pages.read(),
            datasets.write(),
            *(queue.send() for queue in (data_combine, cross_reference, update_prep, alma_update, report_email)),
        ],
        queues=ONE_AT_ONCE,
    )
    updater = app(
        "updater",
        egress,
        steps=[On(alma_update, run="handlers.alma_analytics.update_records")],
        uses=[alma_key, alma_update.send(), report_email.send()],
        environment=alma,
        queues=ALMA_AT_ONCE,
    )
    notifier = app(
        "notifier",
        egress,
        steps=[
            On(report_email, run="handlers.alma_analytics.notify"),
            On(cleanup, run="handlers.alma_analytics.clean_up"),
        ],
        uses=[mail_key, reports.write(), pages.write(), datasets.write()],
        environment=mail,
        queues=QueueOptions(batch_size=4, visibility_timeout_s=30),
    )
    apps = [scheduler, apifetcher, dataprep, updater, notifier]
    outputs = {
        "database_endpoint": database.endpoint,
        "database_name": database.name,
        "reports_url": reports.url,
        "function_apps": [one.app_name for one in apps],
    }
    export("almaAnalytics", AlmaAnalyticsOutputs, outputs)
    system.finish(outputs)


def _queue(name: str, account: Account) -> Queue:
    return Queue(name, QueueArgs(account=account))
