"""`./millrace token`: a token of a declared identity, for trying things by hand."""

from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def token(
    identity: Annotated[str, typer.Argument(help="The identity's physical name; deployer for the deployer's own.")],
    audience: Annotated[str, typer.Argument(help="For example https://storage.azure.com.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """A local token, as the identity itself would get it. It is worth nothing outside this machine."""
    from localcloud.supervisor.shapes import TokenRequest

    screen = Screen(json=json)
    value = local_stack().require().call("POST", "/token", TokenRequest(identity=identity, audience=audience), str)
    screen.document({"token": value})
    screen.text(value)
