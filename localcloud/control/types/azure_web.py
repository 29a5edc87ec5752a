"""Function apps: a site that is created or changed is told to the supervisor, which runs it once code is published."""

from localcloud.control.kinds import Kind, Locality, Place, Site, Subject, Values
from localcloud.engine.values import UNKNOWN, has_unknown


def _site(here: Place, it: Subject) -> Values:
    def host(service: str) -> str:
        return f"{here.endpoints.get(service, '').removeprefix('https://')}/{it.inputs['name']}"

    return {
        "state": "Running",
        "defaultHostName": host("management"),
        # Azure lists the deployment site's own host here; ours is a path of the one door.
        "hostNameSslStates": [
            {"name": host("management"), "hostType": "Standard", "sslState": "Disabled"},
            {"name": host("scm"), "hostType": "Repository", "sslState": "Disabled"},
        ],
    }


def _echo(inputs: Values) -> Values:
    """Identities go in as a list of ids and come out as a map by id; an id that is not known yet leaves it open."""
    identity = inputs.get("identity")
    if not isinstance(identity, dict):
        return dict(inputs)
    ids = identity.get("userAssignedIdentities")
    shown: object = UNKNOWN if has_unknown(ids) else {str(id_): {} for id_ in ids or []}
    return {**inputs, "identity": {**identity, "userAssignedIdentities": shown}}


async def _put_site(here: Locality, it: Subject) -> None:
    await here.apps.put(Site(it.id, it.inputs["name"], it.inputs))


async def _remove_site(here: Locality, it: Subject) -> None:
    await here.apps.remove(it.inputs["name"])


KINDS = {"azure-native:web:WebApp": Kind(outputs=_site, echo=_echo, apply=_put_site, remove=_remove_site)}
