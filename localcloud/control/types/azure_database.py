"""Flexible servers of PostgreSQL: real ones, each behind its own door.

Server parameters and firewall rules are recorded only: here everything is loopback, TLS is not optional, and the local
server's own settings are the machine's affair.
"""

from localcloud.control.kinds import Kind, Locality, Subject, Values


async def _put_server(here: Locality, it: Subject) -> Values:
    return {"fullyQualifiedDomainName": await here.cloud.postgres.put_server(it.last)}


async def _remove_server(here: Locality, it: Subject) -> None:
    await here.cloud.postgres.remove_server(it.last)


async def _put_database(here: Locality, it: Subject) -> None:
    await here.cloud.postgres.put_database(it.inputs["serverName"], it.last)


async def _remove_database(here: Locality, it: Subject) -> None:
    await here.cloud.postgres.remove_database(it.inputs["serverName"], it.last)


async def _look_for_database(here: Locality, it: Subject) -> Values | None:
    return it.inputs if await here.cloud.postgres.has_database(it.inputs["serverName"], it.last) else None


async def _put_administrator(here: Locality, it: Subject) -> None:
    await here.cloud.postgres.put_administrator(
        it.inputs["serverName"], it.inputs["principalName"], it.last, it.inputs["principalType"]
    )


async def _remove_administrator(here: Locality, it: Subject) -> None:
    await here.cloud.postgres.remove_administrator(it.inputs["serverName"], it.last)


KINDS = {
    "azure-native:dbforpostgresql:Server": Kind(apply=_put_server, remove=_remove_server),
    "azure-native:dbforpostgresql:Database": Kind(
        apply=_put_database, remove=_remove_database, look=_look_for_database
    ),
    "azure-native:dbforpostgresql:AdministratorsMicrosoftEntra": Kind(
        apply=_put_administrator, remove=_remove_administrator
    ),
}
