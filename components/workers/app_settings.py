"""A worker's app settings: derived from what it uses, checked against what its handlers read."""

from collections.abc import Iterable, Mapping, Sequence

import pulumi

from components.errors import DeclarationError
from components.foundation.host_storage import HostStorage
from components.foundation.identity import Identity
from components.foundation.observability import Telemetry
from components.link import Link
from components.packaging.settings_schema import HandlerFacts
from components.workers.steps import Every, Step

Settings = dict[str, pulumi.Input[str]]


def gather(who: str, links: Iterable[Link], plain: Mapping[str, pulumi.Input[str]], steps: Sequence[Step]) -> Settings:
    """Every setting that a declaration supplies; two that disagree on a name are refused."""
    settings: Settings = {step.setting: step.schedule for step in steps if isinstance(step, Every)}
    sources: list[tuple[str, Mapping[str, pulumi.Input[str]]]] = [(link.name, link.settings) for link in links]
    for source, more in [*sources, ("environment", plain)]:
        for name, value in more.items():
            if name in settings and not _same(settings[name], value):
                raise DeclarationError(
                    who,
                    must=f"setting {name} must come from one place",
                    got=f"a second one from {source}",
                    change="rename one of the two components, as settings are named after them",
                )
            settings[name] = value
    return settings


def _same(one: pulumi.Input[str], other: pulumi.Input[str]) -> bool:
    """Outputs are compared as objects: their values are not known yet."""
    return one is other or (isinstance(one, str) and isinstance(other, str) and one == other)


def check_supplied(who: str, handlers: Sequence[HandlerFacts], supplied: Iterable[str]) -> None:
    """Refuse a handler that reads a setting which nobody supplies."""
    names = set(supplied)
    for handler in handlers:
        missing = sorted(handler.required - names)
        if missing:
            raise DeclarationError(
                who,
                must=f"handler {handler.module} must find every setting it reads",
                got=f"nothing for {', '.join(missing)}",
                change=f"add what supplies it to uses=[…] (supplied are {', '.join(sorted(names)) or 'none'}), "
                f"or give the field in {handler.file} a default",
            )


def platform_settings(identity: Identity, host: HostStorage, telemetry: Telemetry) -> Settings:
    """What the Functions host itself reads: its storage and telemetry, both by the worker's identity."""
    return {
        "AZURE_CLIENT_ID": identity.client_id,
        "AzureWebJobsStorage__blobServiceUri": host.blob_endpoint,
        "AzureWebJobsStorage__queueServiceUri": host.queue_endpoint,
        "AzureWebJobsStorage__tableServiceUri": host.table_endpoint,
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": identity.client_id,
        "APPLICATIONINSIGHTS_CONNECTION_STRING": telemetry.connection_string,
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": pulumi.Output.concat(
            "ClientId=", identity.client_id, ";Authorization=AAD"
        ),
    }
