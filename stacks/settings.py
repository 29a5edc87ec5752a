"""A stack's configuration, read and checked. A wrong or missing setting is one message with the command that mends it.

What may stand there is said in configuration.py; both engines hand the program the same values, the project file's
defaults among them.
"""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pulumi
from msgspec import inspect
from pulumi.runtime.config import CONFIG, get_config_env

from components.naming import Environment
from components.packaging.target import Target
from stacks import regions
from stacks.configuration import AlmaAnalyticsSettings, AwsSettings, Configuration, LogIngestSettings, broken
from stacks.setting_words import below, fields, plain, words

ROOT = Path(__file__).resolve().parents[1]
GUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
SHOWN = 80  # characters of a wrong value in a message
ANY = "NAME"  # stands for a key of a free map, which msgspec does not name
_PATH = re.compile(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]")
_FIELD = re.compile(r"Object (contains unknown|missing required) field `([^`]+)`")

Path_ = Sequence[str | int]


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a stack's configuration says."""

    environment: Environment
    systems: list[str]
    aws: AwsSettings | None
    log_ingest: LogIngestSettings
    alma_analytics: AlmaAnalyticsSettings
    alma_url: str
    mail_url: str


class SettingError(pulumi.RunError):
    """A setting that is missing or wrong."""

    def __init__(self, setting: str, *, must: str, got: str, run: str) -> None:
        """`run`: the command that mends it, without the stack."""
        stack = pulumi.get_stack()
        super().__init__(f"stack {stack}: setting {setting} {must}, got {got}; run: {run} --stack {stack}")


def read_settings(systems: Collection[str] = ("log_ingest", "alma_analytics")) -> StackSettings:
    """The current stack's settings; raises `SettingError`. `systems`: those that the program has."""
    _refuse_unknown_keys()
    found = {field.encode_name: _read(field) for field in fields(Configuration)}
    settings = msgspec.convert({key: value for key, value in found.items() if value is not None}, Configuration)
    for path, must in broken(settings):
        key, _, inner = path.partition(".")
        raise _wrong(key, [inner], must, _at(found[key], [inner]))
    for position, name in enumerate(settings.systems):
        if name not in systems or name in settings.systems[:position]:
            must, got = f"must be a system, each once: {', '.join(sorted(systems))}", f"{name}{closest(name, systems)}"
            raise _wrong("systems", [position], must, got)
    return StackSettings(
        environment=_environment(settings),
        systems=settings.systems,
        aws=settings.aws,
        log_ingest=settings.log_ingest,
        alma_analytics=settings.alma_analytics,
        alma_url=settings.alma_url,
        mail_url=settings.mail_url,
    )


def closest(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing when no known name is near."""
    lower = {one.lower().replace("_", "").replace("-", ""): one for one in sorted(known)}
    found = difflib.get_close_matches(name.lower().replace("_", "").replace("-", ""), lower, n=1, cutoff=0.6)
    return f" (did you mean {lower[found[0]]}?)" if found else ""


def _environment(settings: Configuration) -> Environment:
    aws = settings.aws
    return Environment(
        stack=pulumi.get_stack(),
        subscription_id=_guid("azure-native:subscriptionId", "the Azure subscription's id: az account show --query id"),
        tenant_id=_guid("azure-native:tenantId", "the Entra tenant's id: az account show --query tenantId"),
        location=_region("azure-native:location", regions.AZURE, "an Azure region, for example westeurope"),
        project_root=ROOT,
        target=Target(settings.target.python, settings.target.platform) if settings.target else Target.local(),
        tags=settings.tags,
        keeps_data=settings.keeps_data,
        locks=settings.locks,
        retention_days=settings.retention_days,
        alert_emails=tuple(dict.fromkeys(settings.alerts.emails)),
        deployer_type=settings.deployer_type,
        management_url=settings.management_url,
        collector_url=settings.collector_url,
        aws_account_id=aws.account_id if aws else "",
        aws_region=_region("aws:region", regions.AWS, "an AWS region, for example eu-central-1") if aws else "",
    )


# ---- providers' own settings, which a project file cannot describe: Pulumi keeps types for the project's namespace


def _provider(full: str, what: str) -> str:
    namespace, key = full.split(":")
    value = pulumi.Config(namespace).get(key)
    if not value:
        raise SettingError(full, must=f"must be {what}", got="nothing", run=f"pulumi config set {full} VALUE")
    return value


def _guid(full: str, what: str) -> str:
    value = _provider(full, what)
    if not GUID.fullmatch(value):
        raise SettingError(full, must=f"must be {what}", got=value, run=f"pulumi config set {full} VALUE")
    return value


def _region(full: str, known: frozenset[str], what: str) -> str:
    value = _provider(full, what)
    if value not in known:
        name = value.lower().replace(" ", "")
        right = name if name in known else "VALUE"
        hint = "" if right == name else closest(value, known)
        raise SettingError(full, must=f"must be {what}", got=f"{value}{hint}", run=f"pulumi config set {full} {right}")
    return value


# ---- this project's own settings


def _refuse_unknown_keys() -> None:
    known = {field.encode_name for field in fields(Configuration)}
    prefix = f"{pulumi.get_project()}:"
    given = {key.removeprefix(prefix) for key in {*CONFIG.get(), *get_config_env()} if key.startswith(prefix)}
    for key in sorted(given - known):
        raise SettingError(
            f"{prefix}{key}",
            must=f"must be one that exists: {', '.join(sorted(known))}",
            got=f"{key}{closest(key, known)}",
            run=f"pulumi config rm {prefix}{key}",
        )


def _read(field: inspect.Field) -> Any:
    """One key as plain data that fits its type; None when it is not set (`{}` for an object that may be absent)."""
    key, type_ = field.encode_name, field.type
    text = pulumi.Config().get(key)
    if text is None:
        return None
    bare = plain(type_)
    value: Any = text
    if not isinstance(bare, inspect.StrType):
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            value = text
    if value == {} and isinstance(bare, inspect.StructType):
        return None
    value = _numbers_as_text(value, type_)
    try:
        msgspec.convert({key: value}, Configuration)
    except msgspec.ValidationError as error:
        raise _explained(key, type_, value, str(error)) from error
    return value


def _numbers_as_text(value: Any, type_: inspect.Type) -> Any:
    """`pulumi config set --path` turns digits into a number, which an account's id is not."""
    bare = plain(type_)
    if isinstance(value, dict) and isinstance(bare, inspect.StructType | inspect.DictType):
        return {key: _numbers_as_text(item, below(bare, [key])) for key, item in value.items()}
    if isinstance(value, list) and isinstance(bare, inspect.ListType):
        return [_numbers_as_text(item, below(bare, [0])) for item in value]
    digits = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if digits and isinstance(bare, inspect.StrType) else value


def _explained(key: str, type_: inspect.Type, value: Any, error: str) -> SettingError:
    """Msgspec's refusal in this project's words."""
    reason, _, at = error.partition(" - at `$")
    path: list[str | int] = [
        name or (int(index) if index.isdigit() else ANY) for name, index in _PATH.findall(at.rstrip("`"))
    ][1:]
    odd = _FIELD.search(reason)
    if odd is None:
        return _wrong(key, path, f"must be {words(below(type_, path))}", _at(value, path))
    kind, name = odd.groups()
    if kind.startswith("missing"):
        return _wrong(key, [*path, name], f"must be set to {words(below(type_, [*path, name]))}", None)
    known = [field.encode_name for field in getattr(plain(below(type_, path)), "fields", ())]
    setting = _setting(key, [*path, name])
    return SettingError(
        setting,
        must=f"must be one that exists there: {', '.join(known)}",
        got=f"{name}{closest(name, known)}",
        run=f"pulumi config rm --path '{setting}'",
    )


def _wrong(key: str, path: Path_, must: str, got: Any) -> SettingError:
    setting = _setting(key, path)
    nested = bool(path) or must.startswith("must be a list")
    where = f"--path '{setting}{'' if path else '[0]'}'" if nested else setting
    return SettingError(setting, must=must, got=_shown(got), run=f"pulumi config set {where} VALUE")


def _setting(key: str, path: Path_) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return f"{pulumi.get_project()}:{key}{''.join(parts)}"


def _at(value: Any, path: Path_) -> Any:
    for part in path:
        if isinstance(value, dict) and isinstance(part, str):
            value = value if part == ANY else value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
    return value


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (text.replace("\n", " ") or '""')[:SHOWN]
