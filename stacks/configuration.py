"""What a stack's settings may be: every key with its type, limits, default and meaning.

The one place that says so. `Pulumi.yaml`'s `config:` section, `docs/settings.schema.json` and the table in
docs/deploy.md are written from these Structs (`python -m tests.contract.write_golden`) and tested against them.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from components.workers.ncrontab import ScheduleError, parse
from components.workers.plans import CONSUMPTION_INSTANCES, FLEX_INSTANCES

EMAIL = r"^[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+$"
URL = r"^https?://[^\s]+$"

Text = Annotated[str, Meta(min_length=1)]
Principal = Annotated[str, Meta(pattern=r"^(arn:aws[a-z-]*:(iam|sts)::\d{12}:.+|\d{12})$", title="a principal's ARN")]
Email = Annotated[str, Meta(pattern=EMAIL, title="an e-mail address")]
Instances = Annotated[int, Meta(ge=1, le=1000, description="Instances at most.")]


class TargetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What packages are built for."""

    python: Annotated[Literal["3.11", "3.12", "3.13"], Meta(description="The workers' Python.")] = "3.12"
    platform: Annotated[Text, Meta(description="Platform of their wheels, in uv's words.")] = "x86_64-manylinux_2_28"


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How workers reach AWS."""

    account_id: Annotated[
        str,
        Meta(pattern=r"^\d{12}$", title="12 digits", description="The account: aws sts get-caller-identity."),
    ]
    audience: Annotated[
        str,
        Meta(
            pattern=r"^(api|https)://.+",
            title="an Application ID URI (api://… or https://…)",
            description="The Application ID URI of the app registration that AWS trusts tokens for.",
        ),
    ]
    oidc_provider_arn: Annotated[
        Annotated[str, Meta(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:oidc-provider/.+", title="an OIDC provider's ARN")]
        | None,
        Meta(description="An existing OIDC provider: AWS allows one per issuer and account."),
    ] = None


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Who is told when something fails."""

    emails: Annotated[list[Email], Meta(description="Addresses that get every alert; with none, no alert exists.")] = []


class LogIngestSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The log_ingest system."""

    schedule: Annotated[
        str, Meta(title="NCRONTAB with six fields", description="When the function runs: NCRONTAB, six fields, UTC.")
    ] = "0 */30 * * * *"
    plan: Annotated[Literal["flex", "consumption"], Meta(description="The function app's plan.")] = "flex"
    memory_mb: Annotated[Literal[512, 2048, 4096], Meta(description="Memory of an instance (flex), MB.")] = 2048
    max_instances: Annotated[
        int, Meta(ge=1, le=1000, description="How far the app may scale: flex 40 to 1000, consumption 1 to 200.")
    ] = 40
    upload: Annotated[
        Literal["logs_ingestion", "data_collector"],
        Meta(description="The way into Log Analytics; data_collector is the legacy one, with a key in the vault."),
    ] = "logs_ingestion"
    mode: Annotated[
        Literal["strict", "lenient"],
        Meta(description="strict keeps trying; lenient gives a file up after lenientTries, so that others can go on."),
    ] = "strict"
    max_age_days: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="Skip older objects (0: before today); counted and listed. Absent: none is skipped."),
    ] = None
    max_object_mb: Annotated[int, Meta(ge=1, description="Unpacked size limit of an object, MB.")] = 2048
    stall_runs: Annotated[int, Meta(ge=1, description="Runs without progress before a message is dead.")] = 5
    lenient_tries: Annotated[int, Meta(ge=1, description="Tries of one file in mode lenient.")] = 5
    receive_wait_s: Annotated[
        int, Meta(ge=0, le=20, description="Seconds an empty queue is waited on before a run ends (SQS: at most 20).")
    ] = 5
    bucket_writers: Annotated[
        list[Principal],
        Meta(description="AWS principals (ARNs) that may put objects: the log vendor's."),
    ] = []
    existing_bucket: Annotated[Text | None, Meta(description="Use this bucket instead of making one.")] = None
    existing_queue_arn: Annotated[Text | None, Meta(description="Use this queue instead of making one.")] = None


class AlmaInstances(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How far each app of alma_analytics may scale: flex 40 to 1000, consumption 1 to 200."""

    scheduler: Instances = 40
    apifetcher: Instances = 40
    dataprep: Instances = 40
    updater: Instances = 40
    notifier: Instances = 40


class AlmaAnalyticsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The alma_analytics system."""

    schedule: Annotated[
        str,
        Meta(title="NCRONTAB with six fields", description="How often due report jobs are looked for: NCRONTAB, UTC."),
    ] = "0 * * * * *"
    sweep_schedule: Annotated[
        str, Meta(title="NCRONTAB with six fields", description="When old runs are cleaned up: NCRONTAB, UTC.")
    ] = "0 0 3 * * *"
    cleanup_days: Annotated[
        int, Meta(ge=0, le=3650, description="Days after which a run that is over loses its pages and datasets.")
    ] = 14
    plan: Annotated[Literal["flex", "consumption"], Meta(description="The function apps' plan.")] = "flex"
    memory_mb: Annotated[Literal[512, 2048, 4096], Meta(description="Memory of an instance (flex), MB.")] = 2048
    max_instances: Annotated[AlmaInstances, Meta(description="How far each app may scale.")] = AlmaInstances()
    alma_per_second: Annotated[
        int, Meta(ge=1, le=1000, description="Requests a second that Alma allows the institution's key.")
    ] = 25
    mail_from: Annotated[Email, Meta(description="The sender's address.")] = "alma@example.com"
    mail_user: Annotated[str, Meta(description="The SMTP server's user; smtp only.")] = ""
    database_gb: Annotated[
        Literal[32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32767],
        Meta(description="Size of the database's disk, GB; it only grows."),
    ] = 32


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The settings of a stack, in this project's own namespace."""

    systems: Annotated[list[Text], Meta(description="Systems to deploy: log_ingest, alma_analytics.")] = []
    target: Annotated[
        TargetSettings | None,
        Meta(description="What packages are built for; empty: the machine at hand."),
    ] = None
    keeps_data: Annotated[
        bool,
        Meta(description="Production: what holds data is protected and locked, zone-redundant, with purge protection."),
    ] = False
    locks: Annotated[
        bool,
        Meta(description="Management locks on what keepsData protects; off for a run that must remove something."),
    ] = True
    retention_days: Annotated[
        int, Meta(ge=1, le=730, description="Days that logs and soft-deleted blobs are kept.")
    ] = 30
    tags: Annotated[dict[str, str], Meta(description="Tags of every resource, beside managed-by and stack.")] = {}
    alerts: Annotated[
        AlertSettings, Meta(description="Who is told of failures, dead letters and runs that do not come.")
    ] = AlertSettings()
    deployer_type: Annotated[
        Literal["ServicePrincipal", "User"], Meta(description="What deploys: a pipeline's principal, or a person.")
    ] = "ServicePrincipal"
    management_url: Annotated[
        str,
        Meta(pattern=URL, title="a URL", description="Azure Resource Manager; a sovereign cloud has its own."),
    ] = "https://management.azure.com"
    collector_url: Annotated[
        str, Meta(pattern=f"^$|{URL}", title="a URL", description="The legacy HTTP Data Collector; empty: Azure's own.")
    ] = ""
    alma_url: Annotated[
        str, Meta(pattern=URL, title="a URL", description="Alma's API gateway, by region; alma_analytics.")
    ] = "https://api-eu.hosted.exlibrisgroup.com"
    mail_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?|smtp)://[^\s]+$",
            title="a URL",
            description='Resend\'s API, or smtp://HOST:PORT, which cannot promise "once".',
        ),
    ] = "https://api.resend.com"
    aws: Annotated[
        AwsSettings | None, Meta(description="How workers reach AWS; log_ingest needs accountId and audience.")
    ] = None
    log_ingest: Annotated[LogIngestSettings, Meta(description="The log_ingest system; see docs/log_ingest.md.")] = (
        LogIngestSettings()
    )
    alma_analytics: Annotated[
        AlmaAnalyticsSettings, Meta(description="The alma_analytics system; see docs/alma_analytics.md.")
    ] = AlmaAnalyticsSettings()


def broken(settings: Configuration) -> Iterator[tuple[str, str]]:
    """What no type can say: (dotted path, what must hold) of each setting that is wrong."""
    alma = settings.alma_analytics
    yield from _schedule("logIngest.schedule", settings.log_ingest.schedule)
    yield from _schedule("almaAnalytics.schedule", alma.schedule)
    yield from _schedule("almaAnalytics.sweepSchedule", alma.sweep_schedule)
    yield from _instances("logIngest.maxInstances", settings.log_ingest.max_instances, settings.log_ingest.plan)
    for name in AlmaInstances.__struct_fields__:
        yield from _instances(f"almaAnalytics.maxInstances.{name}", getattr(alma.max_instances, name), alma.plan)


def _schedule(path: str, schedule: str) -> Iterator[tuple[str, str]]:
    try:
        if len(schedule.split()) != 6:
            raise ScheduleError("six fields: second minute hour day month weekday")
        parse(schedule)
    except ScheduleError as error:
        yield path, f'must be NCRONTAB that comes to pass, for example "0 */30 * * * *" ({error})'


def _instances(path: str, number: int, plan: str) -> Iterator[tuple[str, str]]:
    allowed = FLEX_INSTANCES if plan == "flex" else CONSUMPTION_INSTANCES
    if number not in allowed:
        yield path, f"must be {allowed.start} to {allowed.stop - 1} on plan {plan}"
