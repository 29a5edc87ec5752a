"""How a worker signs in to the databases it uses: one login role in each, called like the worker."""

from collections.abc import Mapping, Sequence

import pulumi

from components.errors import require
from components.foundation.identity import Identity
from components.link import DatabaseGrant, Link


def check(who: str, links: Sequence[Link]) -> Mapping[str, DatabaseGrant]:
    """The grants by the prefix of their settings; a worker is one role in a database."""
    grants: dict[str, DatabaseGrant] = {}
    for grant in (one for link in links for one in link.database):
        other = grants.setdefault(grant.prefix, grant)
        require(
            other.role == grant.role,
            who,
            must="it must use a database as one role",
            got=f"{other.role} and {grant.role}",
            change="give one role, in a migration, all that this worker needs",
        )
    return grants


def sign_in(
    who: str, worker: str, links: Sequence[Link], identity: Identity, opts: pulumi.ResourceOptions
) -> tuple[list[pulumi.Resource], Link]:
    """The login roles, and the settings that tell the handlers their names."""
    grants = check(who, links)
    logins: list[pulumi.Resource] = [
        grant.database.admit(worker, grant.role, identity.principal_id, opts) for grant in grants.values()
    ]
    return logins, Link(name="the database's login", settings={f"{prefix}_USER": worker for prefix in grants})
