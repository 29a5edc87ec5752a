"""A function app and everything it needs, derived from its steps and from what they use.

From the declaration come: plan and app, identity, one role assignment per verb and scope, the AWS role, app settings,
host.json, the package, its deployment. Nothing is said twice. Deliberately absent: keys, connection strings, slots.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import web

from components.aws.trust import WebIdentityRole
from components.errors import DeclarationError, require
from components.foundation.foundation import Foundation
from components.foundation.host_storage import HostStorage
from components.foundation.identity import Identity
from components.foundation.resource_group import ResourceGroup
from components.link import AwsGrant, Link, after
from components.packaging.builder import PackagePlan
from components.packaging.builder import plan as plan_package
from components.packaging.declaration import dump
from components.packaging.deployment import Deployment, Package
from components.packaging.errors import PackageError
from components.packaging.manifest import App, BusOptions, QueueOptions
from components.roles import Grant
from components.storage.queue import Queue
from components.workers.app_settings import Settings, check_supplied, gather, platform_settings
from components.workers.logins import sign_in
from components.workers.plans import PlanKind, Scale, plan_arguments, plan_base, run_from_package, site_arguments
from components.workers.steps import Every, On, Source, Step

TIME_LIMIT_S = range(1, 3601)  # seconds; Consumption allows 600, Flex more; an hour is our own bound


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionWorkerArgs:
    """One app: its steps, what they use, how large it may grow."""

    group: ResourceGroup
    foundation: Foundation
    system: str
    """The system's name, as logs and status show it."""
    steps: Sequence[Step]
    uses: Sequence[Link] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Plain settings (no secrets: those come by `Vault.secret`)."""
    time_limit_s: int = 300
    """Seconds one call may take; the platform stops it then."""
    plan: PlanKind = "flex"
    memory_mb: int = 2048
    """Memory of an instance (Flex)."""
    max_instances: int = 40
    """40 to 1,000 on Flex, 1 to 200 on Consumption; the local cloud takes four at most."""
    queues: QueueOptions = field(default_factory=QueueOptions)
    """How storage queues are received from."""
    bus: BusOptions = field(default_factory=BusOptions)
    """How Service Bus is received from."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        require(self.steps, "FunctionWorker", must="steps must name at least one", got="none", change="add a step")
        require(
            self.time_limit_s in TIME_LIMIT_S,
            "FunctionWorker",
            must=f"time_limit_s must be {TIME_LIMIT_S.start} to {TIME_LIMIT_S.stop - 1} seconds",
            got=self.time_limit_s,
            change="set time_limit_s=300",
        )
        require(
            self.plan != "consumption" or self.time_limit_s <= 600,
            "FunctionWorker",
            must="time_limit_s must be 600 at most on plan consumption",
            got=self.time_limit_s,
            change='set time_limit_s=600 or plan="flex"',
        )


class FunctionWorker(pulumi.ComponentResource):
    """A deployed function app. Children are attributes, for transforms and for reading."""

    app_name: str
    host_name: pulumi.Output[str]

    def __init__(self, name: str, args: FunctionWorkerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """`name`: the app's (`log-ingest`); the physical one adds stack and hash."""
        super().__init__("millrace:workers:FunctionWorker", name, None, opts)
        self._name, self._args, self._who = name, args, f'FunctionWorker "{name}"'
        self._environment = args.group.environment
        self._child = pulumi.ResourceOptions(parent=self)
        self._scale = Scale(plan=args.plan, memory_mb=args.memory_mb, max_instances=args.max_instances)
        self._check()
        self._physical = self._environment.claim("function_app", name)
        self.package_plan = self._plan_package()
        self.identity = Identity(name, args.group, opts=self._child)
        self.storage = HostStorage(name, args.group, opts=self._child)
        links = self._links()
        self.assignments = self.identity.grant(self._grants(links))
        self.logins, login = sign_in(self._who, name, links, self.identity, self._child)
        settings = self._settings([*links, login])
        self.package = self._create_package()
        self.site = self._create_site(settings, links)
        self._close_basic_sign_in()
        self.deployment = self._create_deployment()
        self.app_name = self._physical
        self.host_name = self.site.default_host_name
        self._watch()
        self.register_outputs({"app_name": self.app_name, "package": self.package_plan.digest})

    def _check(self) -> None:
        self._scale.check(self._who, self._environment)
        names: set[str] = set()
        for step in self._args.steps:
            step.check(self._who)
            require(
                step.name not in names,
                self._who,
                must="each step needs a handler of its own name",
                got=f"{step.name} twice",
                change="rename one of the handler files",
            )
            names.add(step.name)
        self._check_triggers()

    def _check_triggers(self) -> None:
        """A queue hands each message to one step: with two, each would get a part of them by chance."""
        steps: dict[Source, On] = {}
        for step in self._args.steps:
            if isinstance(step, On):
                before = steps.setdefault(step.source, step)
                require(
                    before is step,
                    self._who,
                    must=f'{step.kind} "{step.inbox}" must trigger one step',
                    got=f"{before.name} and {step.name}",
                    change=f"give each step a {step.kind} of its own",
                )

    def _plan_package(self) -> PackagePlan:
        self._app = App(
            name=self._name,
            system=self._args.system,
            functions=tuple(step.function() for step in self._args.steps),
            time_limit_s=self._args.time_limit_s,
            queues=self._args.queues,
            bus=self._args.bus,
        )
        try:
            return plan_package(self._app, root=self._environment.project_root, target=self._environment.target)
        except PackageError as error:
            raise DeclarationError(
                f"{self._who}: {error.who}", must=error.must, got=error.got, change=error.change
            ) from error

    def _links(self) -> list[Link]:
        steps = [step for step in self._args.steps if isinstance(step, On)]
        links = [*self._args.uses, *(step.link(self.identity.client_id) for step in steps)]
        for inbox in {id(inbox): inbox for link in links for inbox in link.empties}.values():
            inbox.consumed_by.append(self._name)
        return links

    def _grants(self, links: Sequence[Link]) -> list[Grant]:
        grants = [grant for link in links for grant in link.grants]
        return [*grants, *self.storage.host_grants(self._name), self._args.foundation.telemetry.grant()]

    def _settings(self, links: Sequence[Link]) -> Settings:
        role = Link(name="the AWS role", settings=self._become_aws_role([grant for one in links for grant in one.aws]))
        platform = Link(
            name="the platform",
            settings=platform_settings(self.identity, self.storage, self._args.foundation.telemetry),
        )
        settings = gather(self._who, [platform, role, *links], self._args.environment, self._args.steps)
        check_supplied(self._who, self.package_plan.handlers, settings)
        return settings

    def _become_aws_role(self, grants: Sequence[AwsGrant]) -> Settings:
        """One AWS role a worker, with the statements of everything it uses there."""
        if not grants:
            return {}
        role = WebIdentityRole(
            self._name,
            grants[0].trust,
            subject=self.identity.principal_id,
            statements=[statement for grant in grants for statement in grant.statements],
            opts=self._child,
        )
        settings: Settings = {}
        for grant in grants:
            settings[f"{grant.prefix}_ROLE_ARN"] = role.arn
            settings[f"{grant.prefix}_AUDIENCE"] = grant.trust.audience
        return settings

    def _create_package(self) -> Package:
        return Package(
            self._name,
            app=self._name,
            digest=self.package_plan.digest,
            declaration=dump(self._app),
            target=self._environment.target,
            container_url=self.storage.package_container_url,
            root=self._environment.project_root,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.storage.deployer]),
        )

    @property
    def _package_url(self) -> pulumi.Output[str]:
        return pulumi.Output.concat(self.storage.package_container_url, "/", self.package_plan.file_name)

    def _create_site(self, settings: Settings, links: Sequence[Link]) -> web.WebApp:
        environment, group = self._environment, self._args.group
        needs = [resource for link in links for resource in link.needs]
        if self._args.plan == "consumption":
            settings = settings | run_from_package(self.identity, self._package_url)
            # The platform fetches the zip as soon as the setting names it.
            needs.append(self.package)
        self.plan = web.AppServicePlan(
            self._name,
            name=environment.claim("plan", plan_base(self._name, self._args.plan)),
            resource_group_name=group.name,
            location=environment.location,
            tags=environment.all_tags(),
            opts=self._child,
            **plan_arguments(self._scale),
        )
        return web.WebApp(
            self._name,
            name=self._physical,
            resource_group_name=group.name,
            location=environment.location,
            kind="functionapp,linux",
            reserved=True,
            server_farm_id=self.plan.id,
            https_only=True,
            client_cert_enabled=False,
            public_network_access="Enabled",
            identity=web.ManagedServiceIdentityArgs(
                type=web.ManagedServiceIdentityType.USER_ASSIGNED, user_assigned_identities=[self.identity.id]
            ),
            key_vault_reference_identity=self.identity.id,
            tags=environment.all_tags(system=self._args.system),
            # Roles first: an app that starts without them fails, and its platform backs off.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*self.assignments, *self.logins, *needs], replace_on_changes=["serverFarmId"]
            ),
            **site_arguments(self._scale, environment, self.identity, self.storage, settings),
        )

    def _watch(self) -> None:
        """Failures, silence and messages that are stuck are told to whoever the stack names; see `Alerts`."""
        alerts, steps = self._args.foundation.alerts, self._args.steps
        if alerts is None:
            return
        timers = [(step.name, step.schedule) for step in steps if isinstance(step, Every)]
        alerts.watch_app(self._name, self._physical, timers, only_timers=len(timers) == len(steps), parent=self)
        for step in steps:
            if isinstance(step, On) and isinstance(step.source, Queue):  # those of Service Bus have their own
                alerts.watch_queue(step.source)

    def _close_basic_sign_in(self) -> None:
        """No publishing by user name and password: identities only."""
        for name, policy in (("scm", web.WebAppScmAllowed), ("ftp", web.WebAppFtpAllowed)):
            policy(
                f"{self._name}-{name}",
                name=after(self._physical, self.site),
                resource_group_name=self._args.group.name,
                allow=False,
                opts=self._child,
            )

    def _create_deployment(self) -> Deployment:
        props: dict[str, pulumi.Input[str]] = {
            "app": self._name,
            "digest": self.package_plan.digest,
            "site_id": self.site.id,
        }
        if self._args.plan == "flex":
            props["publish_url"] = self.site.host_name_ssl_states.apply(publish_url)
            props["package_url"] = self._package_url
        else:
            props["management_url"] = self._environment.management_url
        opts = pulumi.ResourceOptions(parent=self, depends_on=[self.package, self.site])
        return Deployment(self._name, props, opts=opts)


def publish_url(host_names: Sequence[web.outputs.HostNameSslStateResponse] | None) -> str:
    """The app's own deployment site, which Azure lists among its host names as the repository."""
    for host in host_names or ():
        if host.host_type == "Repository" and host.name:
            return f"https://{host.name}"
    raise DeclarationError(
        "FunctionWorker", must="the app must list its deployment site", got="none", change="see the app in the portal"
    )
