"""Somebody who changes things behind the program's back, with the account's own keys."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import boto3
from botocore.config import Config

from localcloud.session.local import LocalStack
from localcloud.supervisor.shapes import CloudStatus, Outside
from tests.integration.engine.checkout import Checkout


@contextmanager
def sqs(checkout: Checkout) -> Iterator[Any]:
    """An SQS client of the account's owner."""
    with closing(LocalStack(checkout.root).require()) as supervisor:
        endpoints = supervisor.call("GET", "/status", None, CloudStatus).endpoints
        keys = supervisor.call("GET", "/outside", None, Outside)
    client = boto3.client(
        "sqs",
        endpoint_url=endpoints["sqs"],
        verify=endpoints["ca_file"],
        region_name=keys.region,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        config=Config(retries={"total_max_attempts": 1}),
    )
    with closing(client):
        yield client
