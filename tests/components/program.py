"""Runs a piece of a program through the embedded engine and answers what it declared.

Nothing is contacted or built. Ids and outputs are those that the local control plane would give, so that scopes, URLs
and policies can be compared as text; only a package's upload stays undone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pulumi

from components.foundation.foundation import Foundation
from components.foundation.resource_group import ResourceGroup
from components.link import Link
from components.naming import Environment
from components.packaging.target import Target
from components.storage.account import Account, AccountArgs
from components.system import System
from localcloud.control import rules
from localcloud.control.kinds import Place, Tenancy, Values
from localcloud.control.offline import OfflineCloud
from localcloud.engine.embedded import Program, ProgramError, run
from localcloud.engine.provider import Made
from localcloud.engine.state import Record

SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
TENANT = "22222222-2222-4222-8222-222222222222"
ACCOUNT = "123456789012"
TENANCY = Tenancy(subscription_id=SUBSCRIPTION, tenant_id=TENANT, aws_account=ACCOUNT, aws_region="eu-central-1")
ENDPOINTS = {name: f"https://{name}.test" for name in ("blob", "queue", "logs", "sqs", "insights", "management", "scm")}


class KnownCloud(OfflineCloud):
    """Answers a preview as if everything had been created already."""

    def __init__(self) -> None:
        super().__init__(TENANCY)
        self._place = Place(TENANCY, ENDPOINTS)

    def create(self, type_: str, name: str, inputs: Values, *, preview: bool) -> Made:
        del preview
        made = rules.made(self._place, type_, name, inputs, preview=False)
        if type_ == "azure-native:keyvault:Vault":
            made.outputs["properties"] = {**inputs["properties"], "vaultUri": f"https://{inputs['vaultName']}.test/"}
        return made


class Declared(msgspec.Struct):
    """Every resource of a run, components apart."""

    records: list[Record]
    outputs: Values

    def types(self) -> list[str]:
        """Type tokens of cloud resources, sorted, without the providers' common beginning."""
        return sorted(record.type.removeprefix("azure-native:") for record in self.custom)

    @property
    def custom(self) -> list[Record]:
        return [one for one in self.records if one.custom and not one.type.startswith("pulumi:")]

    def all(self, type_: str) -> list[Record]:
        """Every resource whose type token is, or ends in, `type_`."""
        return [one for one in self.custom if one.type == type_ or one.type.endswith(f":{type_}")]

    def one(self, type_: str, name: str | None = None) -> Record:
        """The only such resource."""
        found = [one for one in self.all(type_) if name in (None, one.name)]
        assert len(found) == 1, f"{type_} {name}: {[one.name for one in found]} of {self.types()}"
        return found[0]

    def grants(self) -> set[tuple[str, str]]:
        """(role's GUID, scope) of every assignment."""
        return {
            (one.inputs["roleDefinitionId"].rsplit("/", 1)[-1], one.inputs["scope"])
            for one in self.all("RoleAssignment")
        }

    def app_settings(self) -> dict[str, Any]:
        """The one app's settings."""
        listed = self.one("web:WebApp").inputs["siteConfig"]["appSettings"]
        return {item["name"]: item["value"] for item in listed}

    def component(self, type_: str) -> Record:
        """The only component of that token."""
        found = [one for one in self.records if one.type == type_]
        assert len(found) == 1, [one.type for one in self.records]
        return found[0]


def declare(main: Callable[[], Any]) -> Declared:
    """Run `main` as a program; raises ProgramError with the message a user would see, also for what a cloud refuses."""
    program = Program(root=Path(__file__).parent, project="millrace", stack="test", config={})
    result = run(program, cloud=KnownCloud(), preview=True, main=main)
    if result.failures:
        raise ProgramError("; ".join(result.failures))
    return Declared(result.records, result.outputs)


def environment(root: Path = Path("/nowhere"), **changes: Any) -> Environment:
    """A small stack's environment; `changes` replace fields."""
    fields: dict[str, Any] = {
        "stack": "test",
        "subscription_id": SUBSCRIPTION,
        "tenant_id": TENANT,
        "location": "westeurope",
        "project_root": root,
        "target": Target("3.12", "x86_64-manylinux_2_28"),
        "aws_account_id": ACCOUNT,
        "aws_region": "eu-central-1",
    }
    return Environment(**(fields | changes))


class Base:
    """The parts that most declarations begin with."""

    def __init__(self, root: Path = Path("/nowhere"), **changes: Any) -> None:
        self.environment = environment(root, **changes)
        self.foundation = Foundation(self.environment)
        self.system = System("demo", self.environment)
        self.group = ResourceGroup("demo", self.environment, opts=self.system.child)
        self.account = Account("demo", AccountArgs(group=self.group), opts=self.system.child)


def links_of(make: Callable[[Base], dict[str, Link]], **changes: Any) -> dict[str, dict[str, Any]]:
    """What links carry, their outputs resolved: settings, and grants as [verb, scope]."""

    def main() -> None:
        for name, link in make(Base(**changes)).items():
            grants = [[grant.verb, grant.scope] for grant in link.grants]
            aws = [statement for grant in link.aws for statement in grant.statements]
            pulumi.export(name, {"settings": dict(link.settings), "grants": grants, "aws": aws})

    return declare(main).outputs


HANDLER = """\
import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
{fields}


def handle(message, context):
    return None
"""


def project(root: Path, handlers: dict[str, list[str]]) -> Path:
    """A project folder whose handlers (`demo.step`) read these settings (`jobs_url: str`)."""
    for package in ("handlers", "core"):
        (root / package).mkdir(parents=True, exist_ok=True)
        (root / package / "__init__.py").touch()
    (root / "core" / "runtime").mkdir(exist_ok=True)
    (root / "core" / "runtime" / "__init__.py").touch()
    for module in ("functions", "bus_functions"):
        (root / "core" / "runtime" / f"{module}.py").write_text("def build(manifest):\n    return None\n")
    (root / "handlers" / "requirements.txt").write_text("msgspec==0.19.0\n")
    for name, fields in handlers.items():
        file = root / "handlers" / (name.replace(".", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(HANDLER.format(fields="\n".join(f"    {field}" for field in fields) or "    pass"))
    return root
