"""A stack's configuration as Structs. A wrong or missing setting is one message with the command that mends it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pulumi

from components.naming import Environment
from components.packaging.target import Target

ROOT = Path(__file__).resolve().parents[1]
Days = Annotated[int, msgspec.Meta(ge=1, le=730)]


class TargetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What packages are built for."""

    python: Literal["3.11", "3.12", "3.13"] = "3.12"
    platform: str = "x86_64-manylinux_2_28"


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How workers reach AWS."""

    account_id: Annotated[str, msgspec.Meta(pattern=r"^\d{12}$")]
    audience: Annotated[str, msgspec.Meta(pattern=r"^(api|https)://.+")]
    """The Application ID URI of the app registration that AWS trusts tokens for."""
    oidc_provider_arn: str | None = None
    """An existing OIDC provider: AWS allows one per issuer and account."""


class LogIngestSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The log_ingest system; field names and defaults are explained in Pulumi.yaml and docs/log_ingest.md."""

    schedule: str = "0 */30 * * * *"
    plan: Literal["flex", "consumption"] = "flex"
    memory_mb: Literal[512, 2048, 4096] = 2048
    max_instances: int = 40
    upload: Literal["logs_ingestion", "data_collector"] = "logs_ingestion"
    mode: Literal["strict", "lenient"] = "strict"
    max_age_days: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_object_mb: Annotated[int, msgspec.Meta(ge=1)] = 2048
    stall_runs: Annotated[int, msgspec.Meta(ge=1)] = 5
    lenient_tries: Annotated[int, msgspec.Meta(ge=1)] = 5
    receive_wait_s: Annotated[int, msgspec.Meta(ge=0, le=20)] = 5
    """How long an empty queue is waited on before a run ends; SQS's own limit is 20."""
    bucket_writers: list[str] = []
    existing_bucket: str | None = None
    existing_queue_arn: str | None = None


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a stack's configuration says."""

    environment: Environment
    systems: list[str]
    aws: AwsSettings | None
    log_ingest: LogIngestSettings


class SettingError(pulumi.RunError):
    """A setting that is missing or wrong."""


def read_settings() -> StackSettings:
    """The current stack's settings; raises `SettingError`."""
    aws = _optional("aws", AwsSettings)
    return StackSettings(
        environment=_environment(aws),
        systems=_read("systems", list[str], []),
        aws=aws,
        log_ingest=_read("logIngest", LogIngestSettings, LogIngestSettings()),
    )


def _environment(aws: AwsSettings | None) -> Environment:
    target = _optional("target", TargetSettings)
    return Environment(
        stack=pulumi.get_stack(),
        subscription_id=_provider("azure-native", "subscriptionId", "the Azure subscription's id"),
        tenant_id=_provider("azure-native", "tenantId", "the Entra tenant's id"),
        location=_provider("azure-native", "location", "an Azure region, for example westeurope"),
        project_root=ROOT,
        target=Target(target.python, target.platform) if target else Target.local(),
        tags=_read("tags", dict[str, str], {}),
        keeps_data=_read("keepsData", bool, False),
        retention_days=_read("retentionDays", Days, 30),
        deployer_type=_read("deployerType", Literal["ServicePrincipal", "User"], "ServicePrincipal"),
        management_url=_read("managementUrl", str, "https://management.azure.com"),
        collector_url=_read("collectorUrl", str, ""),
        aws_account_id=aws.account_id if aws else "",
        aws_region=_provider("aws", "region", "an AWS region, for example eu-central-1") if aws else "",
    )


def _provider(namespace: str, key: str, what: str) -> str:
    value = pulumi.Config(namespace).get(key)
    if not value:
        raise SettingError(
            f"stack {pulumi.get_stack()}: {namespace}:{key} must be set to {what}, got nothing; "
            f"run: pulumi config set {namespace}:{key} VALUE --stack {pulumi.get_stack()}"
        )
    return value


def _optional(key: str, type_: type[Any]) -> Any:
    return _read(key, type_, None)


def _read(key: str, type_: Any, default: Any) -> Any:
    """One key of this project's own namespace; objects as Pulumi keeps them (JSON)."""
    text = pulumi.Config().get(key)
    if text is None:
        return default
    try:
        value: Any = text if type_ is str else msgspec.json.decode(text)
    except msgspec.DecodeError:
        value = text
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        where = f"{pulumi.get_project()}:{key}"
        path = str(error).partition(" - at `$")[2].rstrip("`")
        raise SettingError(
            f"stack {pulumi.get_stack()}: setting {where}{path} is wrong: {error}, got {text[:200]}; "
            f"run: pulumi config set --path '{where}{path}' VALUE --stack {pulumi.get_stack()}"
        ) from error
