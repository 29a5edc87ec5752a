"""The option that leads a command to a Service Bus namespace in Azure instead of the local ones."""

import re
from typing import Annotated

import typer

Namespace = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="A Service Bus namespace in Azure (NAME.servicebus.windows.net), as whoever is signed in there: az login.",
    ),
]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]")
_HOST = re.compile(_NAME.pattern + r"\.servicebus(\.[a-z][a-z0-9-]*){2,3}")


def host_of(namespace: str) -> str:
    """Its host name; a bare name is one of the public cloud."""
    if _NAME.fullmatch(namespace):
        return f"{namespace}.servicebus.windows.net"
    if _HOST.fullmatch(namespace):
        return namespace
    raise typer.BadParameter(f"--namespace must be like NAME.servicebus.windows.net, got {namespace!r}")
