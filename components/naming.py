"""Physical names: one pure function that knows every length and alphabet rule, and the environment names are made for.

Names are fixed (never random): a second stack in the same subscription differs by its name, and what must be unique
worldwide ends in five characters made from subscription and stack.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from components.errors import DeclarationError, require
from components.packaging.target import Target

Kind = Literal[
    "group",
    "identity",
    "storage_account",
    "container",
    "queue",
    "bus_namespace",
    "bus_entity",
    "bus_subscription",
    "bus_rule",
    "database_server",
    "vault",
    "workspace",
    "insights",
    "plan",
    "function_app",
    "collection_endpoint",
    "collection_rule",
    "bucket",
    "sqs_queue",
    "iam_role",
    "action_group",
    "alert",
    "topic",
    "alarm",
]


MARK = 4  # characters that stand for what was cut off a name
SHORTEST = 6  # characters of its own that a name must keep: enough to be recognised beside the mark


@dataclass(frozen=True, slots=True)
class _Rule:
    """Length, separator and alphabet of one kind; `worldwide` names carry the five-character hash."""

    longest: int
    allowed: str
    worldwide: bool = False
    separator: str = "-"
    staged: bool = True


# Lengths and alphabets: learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules,
# docs.aws.amazon.com (S3 bucket naming rules, SQS CreateQueue, IAM quotas).
_RULES: dict[Kind, _Rule] = {
    "group": _Rule(90, r"[a-z0-9-]+"),
    "identity": _Rule(128, r"[a-z0-9][a-z0-9-]{2,}"),
    "storage_account": _Rule(24, r"[a-z0-9]{3,}", worldwide=True, separator=""),
    "container": _Rule(63, r"[a-z0-9](-?[a-z0-9])+", staged=False),
    "queue": _Rule(63, r"[a-z0-9](-?[a-z0-9])+", staged=False),
    "bus_namespace": _Rule(50, r"[a-z](-?[a-z0-9]){5,}", worldwide=True),
    # Queues and topics of a namespace share their names. Service Bus knows slashes in them too, but they would stand in
    # resource ids, where a slash means something else.
    "bus_entity": _Rule(260, r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", staged=False),
    "bus_subscription": _Rule(50, r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", staged=False),
    "bus_rule": _Rule(50, r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", staged=False),
    "database_server": _Rule(63, r"[a-z0-9](-?[a-z0-9])+", worldwide=True),
    "vault": _Rule(24, r"[a-z](-?[a-z0-9])+", worldwide=True),
    "workspace": _Rule(63, r"[a-z0-9][a-z0-9-]{2,}[a-z0-9]"),
    "insights": _Rule(255, r"[a-z0-9-]+"),
    "plan": _Rule(60, r"[a-z0-9-]+"),
    "function_app": _Rule(60, r"[a-z0-9][a-z0-9-]+[a-z0-9]", worldwide=True),
    "collection_endpoint": _Rule(44, r"[a-z0-9][a-z0-9-]{2,}"),
    "collection_rule": _Rule(64, r"[a-z0-9][a-z0-9-]{2,}"),
    "bucket": _Rule(63, r"[a-z0-9][a-z0-9-]+[a-z0-9]", worldwide=True),
    "sqs_queue": _Rule(80, r"[a-z0-9-]+"),
    "iam_role": _Rule(64, r"[a-z0-9-]+"),
    "action_group": _Rule(260, r"[a-z0-9-]+"),
    "alert": _Rule(260, r"[a-z0-9-]+"),
    "topic": _Rule(256, r"[a-z0-9-]+"),
    "alarm": _Rule(255, r"[a-z0-9-]+"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a stack lives. Every component gets it through its resource group."""

    stack: str
    """The Pulumi stack's name: local, dev, prod …"""
    subscription_id: str
    tenant_id: str
    location: str
    """The one Azure region of everything (`westeurope`)."""
    project_root: Path
    """The folder that holds handlers/ and core/."""
    target: Target
    """The Python and platform that packages are built for."""
    tags: dict[str, str] = field(default_factory=dict)
    keeps_data: bool = False
    """True: what holds data is protected against removal (prod)."""
    locks: bool = True
    """With `keeps_data`: management locks as well. Off for the one run that must remove something."""
    retention_days: int = 30
    """How long logs, soft-deleted blobs and secrets are kept."""
    alert_emails: tuple[str, ...] = ()
    """Who is told of failures; with none there are no alerts."""
    deployer_type: Literal["ServicePrincipal", "User"] = "ServicePrincipal"
    """What kind of principal deploys: a pipeline's service principal, or a person."""
    management_url: str = "https://management.azure.com"
    """Azure Resource Manager; a sovereign cloud or the local one has its own."""
    collector_url: str = ""
    """The HTTP Data Collector; empty for Azure's own, which has the workspace in its host name."""
    aws_account_id: str = ""
    aws_region: str = ""
    _taken: dict[tuple[Kind, str, str], str] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Physical names of this run, and for whom: two names may become one where an alphabet is small."""

    @property
    def suffix(self) -> str:
        """Five characters from subscription and stack, for names that must be unique worldwide."""
        return hashlib.sha256(f"{self.subscription_id}/{self.stack}".encode()).hexdigest()[:5]

    def all_tags(self, **more: str) -> dict[str, str]:
        """The environment's tags, with who declared the resource."""
        return {"managed-by": "millrace", "stack": self.stack, **self.tags, **more}

    def name(self, kind: Kind, base: str) -> str:
        """The physical name of `base`; see `physical_name`."""
        return physical_name(kind, base, stack=self.stack, suffix=self.suffix)

    def claim(self, kind: Kind, base: str, *, within: str = "") -> str:
        """The physical name of `base`, for one resource alone; each component claims its own once.

        `within`: what the name must be unique in (a queue's account), where that is not the whole stack. Raises
        `DeclarationError` when another resource has it: `a-b` and `ab` are one storage account.
        """
        physical = self.name(kind, base)
        place = (kind, within, physical)
        if place in self._taken:
            raise DeclarationError(
                f'{kind} "{base}"',
                must="must have a physical name of its own",
                got=f'{physical}, which {kind} "{self._taken[place]}" has already',
                change="rename one of the two",
            )
        self._taken[place] = base
        return physical


def physical_name(kind: Kind, base: str, *, stack: str, suffix: str) -> str:
    """`base` as the kind's own rules want it: `log-ingest` → `log-ingest-prod-1a2b3` for a function app.

    A base that is too long is cut and marked with four characters of its own hash, so that two that begin alike stay
    two; the parts that keep it unique elsewhere are never cut. Raises `DeclarationError` when the kind's alphabet
    refuses the name, and for a container or queue that is too long: handlers see those by their own names.
    """
    rule = _RULES[kind]
    tail = [stack] if rule.staged else []
    if rule.worldwide:
        tail.append(suffix)
    clean = base.replace("_", "-").lower()
    if not rule.separator:
        clean, tail = clean.replace("-", ""), [part.replace("-", "") for part in tail]
    end = "".join(f"{rule.separator}{part}" for part in tail)
    room = rule.longest - len(end)
    require(
        room >= SHORTEST,
        f'{kind} "{base}"',
        must=f"stack and hash must leave {SHORTEST} of {rule.longest} characters",
        got=f"stack {stack!r}",
        change="choose a shorter stack name",
    )
    require(
        rule.staged or len(clean) <= room,
        f'{kind} "{base}"',
        must=f"its name must be at most {room} characters",
        got=len(clean),
        change="choose a shorter name",
    )
    name = (clean if len(clean) <= room else _cut(clean, room)) + end
    if not re.fullmatch(rule.allowed, name):
        raise DeclarationError(
            f'{kind} "{base}"',
            must=f"the physical name must match {rule.allowed}",
            got=repr(name),
            change="rename the component with letters, digits and single hyphens",
        )
    return name


def _cut(base: str, room: int) -> str:
    return base[: room - MARK] + hashlib.sha256(base.encode()).hexdigest()[:MARK]
