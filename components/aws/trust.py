"""How an Azure identity becomes an AWS role without any stored key.

The worker's own Entra token (v1, for an application's URI) is shown to AWS STS, which trusts the tenant's issuer for
exactly one audience and one subject: the worker's identity. AWS side: an IAM OIDC provider, one per issuer and account,
and per worker one role with the least it needs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.errors import require
from components.naming import Environment

SESSION_S = 3600  # seconds; AWS's minimum for a role's max session, and enough: workers refresh


@dataclass(frozen=True, kw_only=True, slots=True)
class EntraTrustArgs:
    """Which tenant AWS trusts, and for what."""

    environment: Environment
    """Its tenant is the issuer."""
    audience: str
    """The Application ID URI (`api://…`) of an app registration made once by a person.

    `https://management.azure.com/` works without one, but hands AWS a token that Azure's management accepts as well.
    """
    provider_arn: str | None = None
    """An OIDC provider that exists (AWS allows one per issuer and account); its audiences must list `audience`."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        require(
            self.audience.startswith(("api://", "https://")),
            "EntraTrust",
            must="audience must be an Application ID URI (api://…) or a resource's https:// URI",
            got=repr(self.audience),
            change="register an application once and use its Application ID URI",
        )
        require(
            self.provider_arn is None or ":oidc-provider/" in self.provider_arn,
            "EntraTrust",
            must="provider_arn must be the ARN of an IAM OIDC provider",
            got=repr(self.provider_arn),
            change="use arn:aws:iam::ACCOUNT:oidc-provider/sts.windows.net/TENANT/, or leave it out to make one",
        )


class EntraTrust(pulumi.ComponentResource):
    """The OIDC provider for the tenant's v1 issuer (made here, or an existing one)."""

    provider_arn: pulumi.Output[str]

    def __init__(self, name: str, args: EntraTrustArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """v1, because a v2 token for another application carries `azp`, which AWS takes for the audience."""
        super().__init__("millrace:aws:EntraTrust", name, None, opts)
        self.environment, self.audience = args.environment, args.audience
        self.issuer = f"sts.windows.net/{args.environment.tenant_id}/"
        if args.provider_arn:
            self.provider_arn = pulumi.Output.from_input(args.provider_arn)
        else:
            provider = aws.iam.OpenIdConnectProvider(
                name,
                url=f"https://{self.issuer}",
                client_id_lists=[args.audience],
                tags=args.environment.all_tags(),
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.provider_arn = provider.arn
        self.register_outputs({"provider_arn": self.provider_arn})

    def trust_policy(self, provider_arn: str, subject: str) -> str:
        """Who may take a role: this issuer's tokens, for our audience, of this one identity."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{self.issuer}:aud": self.audience, f"{self.issuer}:sub": subject}},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class WebIdentityRole(pulumi.ComponentResource):
    """One worker's AWS role: pinned to its identity, allowed the given statements and nothing else."""

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        trust: EntraTrust,
        *,
        subject: pulumi.Input[str],
        statements: Sequence[Mapping[str, Any]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`subject`: the identity's principal id; `statements`: IAM policy statements, outputs allowed inside."""
        super().__init__("millrace:aws:WebIdentityRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        policy = pulumi.Output.all(trust.provider_arn, subject).apply(lambda pair: trust.trust_policy(*pair))
        self.role = aws.iam.Role(
            name,
            name=trust.environment.claim("iam_role", name),
            assume_role_policy=policy,
            max_session_duration=SESSION_S,
            tags=trust.environment.all_tags(),
            opts=child,
        )
        self.policy = aws.iam.RolePolicy(
            name,
            name="least",
            role=self.role.name,
            policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)}),
            opts=child,
        )
        self.arn = self.role.arn
        self.register_outputs({"arn": self.arn})
