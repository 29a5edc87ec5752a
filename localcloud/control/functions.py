"""The functions of the providers (`get_client_config`, `get_policy_document`, `get_storage_account` …), by token.

Three sorts: who and where we are; what a document says; and a look at something that exists, which any type that the
constraints describe has without a line here. To add one: a function of `(asked)` and its token in `FUNCTIONS`.
"""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from localcloud.control import check as constraints
from localcloud.control.kinds import Tenancy, Values
from localcloud.engine.provider import Refused

PARTITION = "aws"
DNS_SUFFIX = "amazonaws.com"


class Asked(msgspec.Struct, frozen=True):
    """A call: its arguments, and who we are; `object_id`: who deploys."""

    args: Values
    tenancy: Tenancy
    object_id: str


Lookup = Callable[[str, Values], Values | None]
"""`(type, arguments)` → outputs of the resource that they name, with its id; None when there is none."""


def call(token: str, asked: Asked, lookup: Lookup) -> Values:
    """A function's answer; raises `Refused` for what does not exist and for functions that mean nothing here."""
    function = FUNCTIONS.get(token)
    if function:
        return function(asked)
    type_ = looked_up(token)
    if type_ is None:
        raise Refused(
            f"function {token} means nothing here yet; add it to FUNCTIONS in localcloud/control/functions.py"
        )
    found = lookup(type_, asked.args)
    if found is None:
        named = ", ".join(f"{key}={value}" for key, value in sorted(asked.args.items()))
        raise Refused(f"{token}: must name a {type_} that exists, got {named}; declare it first, or correct the name")
    return {**asked.args, **found}


def looked_up(token: str) -> str | None:
    """The type that a `getX` function looks up: `azure-native:storage:getQueue` → `azure-native:storage:Queue`."""
    match = re.fullmatch(r"(azure-native:\w+:)get(\w+)", token)
    type_ = f"{match[1]}{match[2]}" if match else None
    match = re.fullmatch(r"(aws:\w+/)get(\w+):get\2", token)
    if match:
        type_ = f"{match[1]}{match[2][0].lower()}{match[2][1:]}:{match[2]}"
    return type_ if type_ and constraints.describe(type_) else None


def _client_config(asked: Asked) -> Values:
    return {
        "clientId": asked.object_id,
        "objectId": asked.object_id,
        "subscriptionId": asked.tenancy.subscription_id,
        "tenantId": asked.tenancy.tenant_id,
    }


def _caller_identity(asked: Asked) -> Values:
    account = asked.tenancy.aws_account
    return {
        "accountId": account,
        "arn": f"arn:{PARTITION}:iam::{account}:root",
        "userId": account,
        "id": account,
    }


def _region(asked: Asked) -> Values:
    region = asked.args.get("region") or asked.args.get("name") or asked.tenancy.aws_region
    return {
        "id": region,
        "name": region,
        "region": region,
        "description": region,
        "endpoint": f"ec2.{region}.{DNS_SUFFIX}",
    }


def _partition(asked: Asked) -> Values:
    del asked
    return {"id": PARTITION, "partition": PARTITION, "dnsSuffix": DNS_SUFFIX, "reverseDnsPrefix": "com.amazonaws"}


def _arn(asked: Asked) -> Values:
    arn = str(asked.args.get("arn", ""))
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise Refused(f"getArn: arn must be arn:partition:service:region:account:resource, got {arn!r}; correct it")
    names = ("partition", "service", "region", "account", "resource")
    return {"id": arn, "arn": arn, **dict(zip(names, parts[1:], strict=True))}


def _policy_document(asked: Asked) -> Values:
    """As AWS' provider writes one: statements of the sources first, then ours, then those that override by Sid.

    Source: registry.terraform.io/providers/hashicorp/aws, data source aws_iam_policy_document.
    """
    given = asked.args
    statements: list[Values] = []
    for text in [*(given.get("sourcePolicyDocuments") or []), given.get("sourceJson")]:
        statements += _statements(text)
    statements += [_statement(one) for one in given.get("statements") or []]
    for text in [*(given.get("overridePolicyDocuments") or []), given.get("overrideJson")]:
        for one in _statements(text):
            statements = [other for other in statements if not one.get("Sid") or other.get("Sid") != one["Sid"]] + [one]
    document: Values = {"Version": given.get("version") or "2012-10-17"}
    if given.get("policyId"):
        document["Id"] = given["policyId"]
    document["Statement"] = statements
    text = json.dumps(document, indent=2)
    return {
        **given,
        "id": str(zlib.crc32(text.encode())),
        "json": text,
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }


def _statements(text: str | None) -> list[Values]:
    if not text:
        return []
    try:
        found = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"getPolicyDocument: a source must be a policy with a Statement, got {text[:60]!r}") from error
    return list(found) if isinstance(found, list) else [found]


def _statement(given: Mapping[str, Any]) -> Values:
    made: Values = {"Sid": given["sid"]} if given.get("sid") else {}
    made["Effect"] = given.get("effect") or "Allow"
    for ours, theirs in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if given.get(ours):
            made[theirs] = _one_or_all(given[ours])
    for ours, theirs in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if given.get(ours):
            made[theirs] = _principals(given[ours])
    if given.get("conditions"):
        made["Condition"] = {}
        for one in given["conditions"]:
            made["Condition"].setdefault(one["test"], {})[one["variable"]] = _one_or_all(one["values"])
    return made


def _principals(given: list[Mapping[str, Any]]) -> Any:
    if any(one["type"] == "*" for one in given):
        return "*"
    return {one["type"]: _one_or_all(one["identifiers"]) for one in given}


def _one_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


FUNCTIONS: dict[str, Callable[[Asked], Values]] = {
    "azure-native:authorization:getClientConfig": _client_config,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getArn:getArn": _arn,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy_document,
}
