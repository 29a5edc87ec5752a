"""`./millrace aws-env`: temporary AWS keys and local endpoints as export lines."""

from typing import Annotated

import typer

from cli.project import local_stack
from cli.screen import Screen


def aws_env(json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False) -> None:
    """The log vendor's keys and the local endpoints: eval "$(./millrace aws-env)", then use any AWS tool."""
    from localcloud.supervisor.shapes import Outside

    screen, stack = Screen(json=json), local_stack()
    keys = stack.require().call("GET", "/outside", None, Outside)
    endpoints = stack.status().endpoints
    values = {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_REGION": keys.region,
        "AWS_DEFAULT_REGION": keys.region,
        "AWS_CA_BUNDLE": endpoints["ca_file"],
        **{f"AWS_ENDPOINT_URL_{name.upper()}": endpoints[name] for name in ("s3", "sqs", "sts")},
    }
    screen.document(values)
    for name, value in values.items():
        screen.text(f"export {name}='{value}'")
