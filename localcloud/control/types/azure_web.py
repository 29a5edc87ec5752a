"""Function apps: a site that is created or changed is told to the supervisor, which runs it once code is published."""

from localcloud.control.kinds import Kind, Locality, Place, Site, Subject, Values


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


async def _put_site(here: Locality, it: Subject) -> None:
    await here.apps.put(Site(it.id, it.inputs["name"], it.inputs))


async def _remove_site(here: Locality, it: Subject) -> None:
    await here.apps.remove(it.inputs["name"])


KINDS = {"azure-native:web:WebApp": Kind(outputs=_site, apply=_put_site, remove=_remove_site)}
