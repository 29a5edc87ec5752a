"""The two plans a function app may run on, and what each wants said differently.

Flex Consumption (default): one app a plan, code from a container it is told of, per-function scaling.
Consumption (Y1): retires on Linux 2028-09-30 and stops at Python 3.12; code from a URL in a setting.
Facts: learn.microsoft.com/azure/azure-functions/ flex-consumption-plan, functions-app-settings,
run-functions-from-deployment-package.
"""

from dataclasses import dataclass
from typing import Any, Literal

import pulumi

from components.errors import require
from components.foundation.host_storage import HostStorage
from components.foundation.identity import Identity
from components.naming import Environment
from components.workers.app_settings import Settings

PlanKind = Literal["flex", "consumption"]
MEMORY_MB = (512, 2048, 4096)
FLEX_INSTANCES = range(40, 1001)
CONSUMPTION_INSTANCES = range(1, 201)
CONSUMPTION_PYTHON = (3, 12)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How large an app may grow."""

    plan: PlanKind
    memory_mb: int
    max_instances: int

    def check(self, who: str, environment: Environment) -> None:
        """Refuse what the plan would refuse."""
        require(
            self.plan in ("flex", "consumption"),
            who,
            must="plan must be flex or consumption",
            got=repr(self.plan),
            change='set plan="flex"',
        )
        require(
            self.memory_mb in MEMORY_MB,
            who,
            must="memory_mb must be 512, 2048 or 4096",
            got=self.memory_mb,
            change="set memory_mb=2048",
        )
        allowed = FLEX_INSTANCES if self.plan == "flex" else CONSUMPTION_INSTANCES
        require(
            self.max_instances in allowed,
            who,
            must=f"max_instances must be {allowed.start} to {allowed.stop - 1} on plan {self.plan}",
            got=self.max_instances,
            change=f"set max_instances={allowed.start}",
        )
        python = tuple(int(part) for part in environment.target.python.split(".")[:2])
        require(
            self.plan == "flex" or python <= CONSUMPTION_PYTHON,
            who,
            must="plan consumption runs Python 3.12 at most",
            got=environment.target.python,
            change='set plan="flex", or the stack\'s target to Python 3.12',
        )


def plan_base(name: str, kind: PlanKind) -> str:
    """The base of a plan's name: each kind has its own, so that a change of kind replaces plan and app.

    Azure changes neither in place ("Cannot update ServerFarm SKU from 'Dynamic' to 'FlexConsumption'"), and the
    provider would try to.
    """
    return name if kind == "flex" else f"{name}-{kind}"


def plan_arguments(scale: Scale) -> dict[str, Any]:
    """The App Service plan's own arguments."""
    sku = {"name": "FC1", "tier": "FlexConsumption"} if scale.plan == "flex" else {"name": "Y1", "tier": "Dynamic"}
    return {"kind": "functionapp", "reserved": True, "sku": sku}


def site_arguments(
    scale: Scale, environment: Environment, identity: Identity, host: HostStorage, settings: Settings
) -> dict[str, Any]:
    """The site's arguments that differ between plans, app settings included."""
    site_config: dict[str, Any] = {
        "app_settings": [{"name": name, "value": settings[name]} for name in sorted(settings)],
        "ftps_state": "Disabled",
        "http20_enabled": True,
        "min_tls_version": "1.2",
        "scm_min_tls_version": "1.2",
    }
    if scale.plan == "consumption":
        site_config |= {
            "linux_fx_version": f"Python|{environment.target.python}",
            "function_app_scale_limit": scale.max_instances,
        }
        return {"site_config": site_config}
    authentication = {"type": "UserAssignedIdentity", "user_assigned_identity_resource_id": identity.id}
    storage = {"type": "blobContainer", "value": host.package_container_url, "authentication": authentication}
    function_app_config = {
        "deployment": {"storage": storage},
        "runtime": {"name": "python", "version": environment.target.python},
        "scale_and_concurrency": {
            "instance_memory_mb": scale.memory_mb,
            "maximum_instance_count": scale.max_instances,
        },
    }
    return {"site_config": site_config, "function_app_config": function_app_config}


def run_from_package(identity: Identity, package_url: pulumi.Input[str]) -> Settings:
    """Consumption only: which runtime, and which zip to run, fetched by identity."""
    return {
        "FUNCTIONS_EXTENSION_VERSION": "~4",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "WEBSITE_RUN_FROM_PACKAGE": package_url,
        "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID": identity.id,
    }
