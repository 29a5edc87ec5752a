"""What Azure refuses though no schema says so. One function per rule, each with its source; ``broken`` runs them.

A rule gets a ``View`` of the inputs (unknown values answer None, so they never break a rule) and ``siblings``, which
gives the inputs of another declared resource by its id. "Facts" in a docstring means: from the SDKs and public
documentation, confidence high unless noted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from localcloud.control import check_rules_bus, check_rules_logs
from localcloud.control.check_view import Failure, View

Siblings = Callable[[str], Mapping[str, Any] | None]
Rule = Callable[[View, Siblings], Iterator[Failure]]

FLEX_REFUSES = (
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_EXTENSION_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "ENABLE_ORYX_BUILD",
    "WEBSITE_TIME_ZONE",
)
FLEX_REFUSES_PREFIX = "WEBSITE_CONTENT"  # WEBSITE_CONTENTSHARE, WEBSITE_CONTENTAZUREFILECONNECTIONSTRING, …
FLEX_MEMORY_MB = (512, 2048, 4096)
FLEX_INSTANCES = (40, 1000)
FLEX_PYTHON = ("3.10", "3.11", "3.12", "3.13", "3.14")
LAST_Y1_PYTHON = (3, 12)
METRIC_FREQUENCIES = ("PT1M", "PT5M", "PT15M", "PT30M", "PT1H")
METRIC_WINDOWS = (*METRIC_FREQUENCIES, "PT6H", "PT12H", "P1D")
QUERY_WINDOWS = ("PT1M", "PT5M", "PT10M", "PT15M", "PT30M", "PT45M", "PT1H", "PT2H", "PT3H", "PT4H", "PT5H", "PT6H",
                 "P1D", "P2D")  # fmt: skip


def broken(type_token: str, view: View, siblings: Siblings) -> list[Failure]:
    """Every rule that the inputs break."""
    rules = (tags, user_assigned_identities, *RULES.get(type_token, ()))
    return [failure for rule in rules for failure in rule(view, siblings)]


def tags(view: View, _: Siblings) -> Iterator[Failure]:
    r"""At most 50 tags; names to 512 characters without < > % & \ ? /, values to 256 (ARM, "Tag limitations")."""
    pairs = view.entries("tags")
    if len(pairs) > 50:
        yield Failure("tags", f"must hold at most 50 tags, got {len(pairs)}; remove some")
    for name, value in pairs:
        if len(name) > 512 or re.search(r"[<>%&\\?/]", name):
            yield Failure(
                f'tags["{name[:40]}"]', "must have a name of at most 512 characters without <>%&\\?/; rename it"
            )
        if isinstance(value, str) and len(value) > 256:
            yield Failure(f'tags["{name}"]', f"must have at most 256 characters, got {len(value)}; shorten it")


def user_assigned_identities(view: View, _: Siblings) -> Iterator[Failure]:
    """``identity.type`` says UserAssigned if and only if identities are listed (ARM: InvalidIdentityValues)."""
    kind = view.text("identity.type").lower()
    if "userassigned" in kind and not view.has("identity.userAssignedIdentities"):
        yield Failure("identity.userAssignedIdentities", "must list an identity, it is absent; give its id")
    if kind and "userassigned" not in kind and view.get("identity.userAssignedIdentities"):
        yield Failure("identity.type", f'must be "UserAssigned" when identities are listed, got "{kind}"; change it')


def flex_settings(view: View, _: Siblings) -> Iterator[Failure]:
    """A Flex Consumption app refuses the settings that its functionAppConfig replaced.

    Source: Azure Functions, "Flex Consumption plan deprecations" in the app settings reference; facts.
    """
    if not view.has("functionAppConfig"):
        return
    for path, setting in view.items("siteConfig.appSettings"):
        name = setting.text("name").upper()
        if name in FLEX_REFUSES or name.startswith(FLEX_REFUSES_PREFIX):
            yield Failure(f"{path}.name", f"must not be set on a Flex Consumption app, got {name}; remove the setting")
    if view.text("siteConfig.linuxFxVersion"):
        yield Failure("siteConfig.linuxFxVersion", "must not be set on a Flex Consumption app; use functionAppConfig")


def flex_shape(view: View, _: Siblings) -> Iterator[Failure]:
    """Instance memory, instance count, Python version and the deployment storage of functionAppConfig (facts)."""
    scale = "functionAppConfig.scaleAndConcurrency"
    memory, count = view.get(f"{scale}.instanceMemoryMB"), view.get(f"{scale}.maximumInstanceCount")
    if memory is not None and memory not in FLEX_MEMORY_MB:
        yield Failure(f"{scale}.instanceMemoryMB", f"must be 512, 2048 or 4096, got {memory}; write 2048")
    low, high = FLEX_INSTANCES
    if isinstance(count, int | float) and not low <= count <= high:
        yield Failure(f"{scale}.maximumInstanceCount", f"must be {low} to {high}, got {count}; write 100")
    version = view.text("functionAppConfig.runtime.version")
    if view.text("functionAppConfig.runtime.name").lower() == "python" and version and version not in FLEX_PYTHON:
        yield Failure(
            "functionAppConfig.runtime.version", f'must be one of {FLEX_PYTHON}, got "{version}"; write "3.12"'
        )
    storage = "functionAppConfig.deployment.storage"
    if view.has("functionAppConfig") and not view.has(storage):
        yield Failure(
            storage, "must be set: Flex Consumption deploys from a blob container; give type, value, authentication"
        )
    own = f"{storage}.authentication"
    if view.text(f"{own}.type").lower() == "userassignedidentity" and not view.has(
        f"{own}.userAssignedIdentityResourceId"
    ):
        yield Failure(
            f"{own}.userAssignedIdentityResourceId", "must be set for UserAssignedIdentity; give the identity's id"
        )


def app_fits_plan(view: View, siblings: Siblings) -> Iterator[Failure]:
    """FC1 needs functionAppConfig and nothing else takes it; Linux Consumption (Y1) stops at Python 3.12 (facts)."""
    plan = siblings(view.text("serverFarmId")) if view.text("serverFarmId") else None
    sku = str((plan or {}).get("sku", {}).get("name", "")).upper()
    if sku == "FC1" and not view.has("functionAppConfig"):
        yield Failure("functionAppConfig", "must be set for an app on a Flex Consumption plan (FC1); add it")
    if sku and sku != "FC1" and view.has("functionAppConfig"):
        yield Failure("functionAppConfig", f"must not be set for an app on a {sku} plan, only on FC1; remove it")
    version = re.fullmatch(r"(?i)python\|(\d+)\.(\d+)", view.text("siteConfig.linuxFxVersion"))
    if sku == "Y1" and version and (int(version[1]), int(version[2])) > LAST_Y1_PYTHON:
        got = view.text("siteConfig.linuxFxVersion")
        yield Failure(
            "siteConfig.linuxFxVersion", f'must be at most Python|3.12 on Y1, got "{got}"; write "Python|3.12"'
        )


def app_settings(view: View, _: Siblings) -> Iterator[Failure]:
    """Settings have names, each once: Azure compares them without regard to case and refuses a second one."""
    seen: set[str] = set()
    for path, setting in view.items("siteConfig.appSettings"):
        name = setting.text("name")
        if name.lower() in seen:
            yield Failure(
                f"{path}.name", f'must not repeat a setting (case does not count), got "{name}" again; remove one'
            )
        if not setting.has("name"):
            yield Failure(f"{path}.name", "must be set, it is absent; name the setting")
        seen.add(name.lower() or path)


def plan_sku(view: View, _: Siblings) -> Iterator[Failure]:
    """The tier belongs to the name; Flex Consumption is Linux only, so ``reserved`` (facts)."""
    name, tier = view.text("sku.name").upper(), view.text("sku.tier")
    wanted = {"FC1": "FlexConsumption", "Y1": "Dynamic"}.get(name)
    if wanted and tier and tier.lower() != wanted.lower():
        yield Failure("sku.tier", f'must be "{wanted}" for {name}, got "{tier}"; write tier="{wanted}"')
    if name == "FC1" and not view.has("reserved"):
        yield Failure("reserved", "must be True for FC1 (Linux only), it is absent; set reserved=True")
    if name == "FC1" and view.get("reserved") is False:
        yield Failure("reserved", "must be True for FC1 (Linux only), got False; set reserved=True")


def purge_protection(view: View, _: Siblings) -> Iterator[Failure]:
    """``enablePurgeProtection`` is True or absent: Azure refuses False ("cannot be set to false"); days are 7 to 90."""
    if view.get("properties.enablePurgeProtection") is False:
        yield Failure("properties.enablePurgeProtection", "must be True or absent, got False; leave it out")
    days = view.get("properties.softDeleteRetentionInDays")
    if isinstance(days, int | float) and not 7 <= days <= 90:
        yield Failure("properties.softDeleteRetentionInDays", f"must be 7 to 90, got {days}; write 90")


def metric_alert_times(view: View, _: Siblings) -> Iterator[Failure]:
    """Frequency and window come from fixed lists, the window is not the shorter one; severity is 0 to 4.

    Source: Azure Monitor, "Metric alert rules", and the REST reference.
    """
    yield from _alert_times(view, METRIC_FREQUENCIES, METRIC_WINDOWS)


def query_alert(view: View, _: Siblings) -> Iterator[Failure]:
    """A log alert's times, and what its query is asked.

    Source: azurerm_monitor_scheduled_query_rules_alert_v2, which documents what the service accepts.
    """
    yield from _alert_times(view, QUERY_WINDOWS[:-1], QUERY_WINDOWS)
    for path, condition in view.items("criteria.allOf"):
        if not condition.has("query"):
            yield Failure(f"{path}.query", "must be set, it is absent; write the query")
        if condition.text("timeAggregation") not in ("", "Count") and not condition.has("metricMeasureColumn"):
            yield Failure(f"{path}.metricMeasureColumn", "must be set unless timeAggregation is Count; name a column")


def _alert_times(view: View, frequencies: tuple[str, ...], windows: tuple[str, ...]) -> Iterator[Failure]:
    every, window = view.text("evaluationFrequency"), view.text("windowSize")
    if every and every not in frequencies:
        yield Failure("evaluationFrequency", f'must be one of {frequencies}, got "{every}"; write "PT5M"')
    elif window and window not in windows:
        yield Failure("windowSize", f'must be one of {windows}, got "{window}"; write "PT5M"')
    elif every and window and windows.index(window) < windows.index(every):
        yield Failure(
            "windowSize", f'must not be shorter than evaluationFrequency {every}, got "{window}"; lengthen it'
        )
    severity = view.get("severity")
    if isinstance(severity, int | float) and not 0 <= severity <= 4:
        yield Failure("severity", f"must be 0 (critical) to 4 (verbose), got {severity}; write 2")


def role_permissions(view: View, _: Siblings) -> Iterator[Failure]:
    """A role definition says where it may be assigned (ARM: a custom role needs assignable scopes)."""
    if view.get("assignableScopes") == []:
        yield Failure("assignableScopes", "must hold at least one scope, got none; give the resource group's id")
    for path, permission in view.items("permissions"):
        keys = ("actions", "notActions", "dataActions", "notDataActions")
        if not any(permission.has(key) for key in keys):
            yield Failure(path, "must hold actions or dataActions, got neither; add one")


RULES: dict[str, tuple[Rule, ...]] = {
    "azure-native:authorization:RoleDefinition": (role_permissions,),
    "azure-native:keyvault:Vault": (purge_protection,),
    "azure-native:monitor:DataCollectionRule": (check_rules_logs.rule_streams, check_rules_logs.rule_flows),
    "azure-native:monitor:DiagnosticSetting": (check_rules_logs.diagnostic_sink,),
    "azure-native:monitor:MetricAlert": (metric_alert_times,),
    "azure-native:monitor:ScheduledQueryRule": (query_alert,),
    "azure-native:operationalinsights:Table": (check_rules_logs.table_schema, check_rules_logs.table_retention),
    "azure-native:servicebus:DefaultRule": (check_rules_bus.rule_filter,),
    "azure-native:servicebus:Namespace": (check_rules_bus.sku,),
    "azure-native:servicebus:Queue": check_rules_bus.ENTITY,
    "azure-native:servicebus:Rule": (check_rules_bus.rule_filter,),
    "azure-native:servicebus:Subscription": check_rules_bus.ENTITY,
    "azure-native:servicebus:Topic": check_rules_bus.ENTITY,
    "azure-native:web:AppServicePlan": (plan_sku,),
    "azure-native:web:WebApp": (app_settings, flex_settings, flex_shape, app_fits_plan),
}
