"""How the outside world gives each system its input locally: one entry a system, its own module knows the content."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud.outside import log_ingest
from localcloud.session.local import LocalCloudError, LocalStack
from localcloud.supervisor.shapes import Outside

Put = Callable[[str, "bytes | Path"], None]


def feed_paths(stack: LocalStack, system: str, paths: Iterable[Path]) -> int:
    """Give a system these files; answers how many inputs it got."""
    put, send = log_bucket(stack, system)
    return log_ingest.feed(paths, put, send)


def feed_sample(stack: LocalStack, system: str, on_item: Callable[[int], None] = lambda _count: None) -> int:
    """Give a system its sample input; answers how many inputs it got."""
    put, _ = log_bucket(stack, system)
    count = 0
    for key, body in log_ingest.sample_objects():
        put(key, body)
        count += 1
        on_item(count)
    return count


def log_bucket(stack: LocalStack, system: str) -> tuple[Put, Callable[[str], None]]:
    """Objects into the bucket and messages into the queue, as the log vendor does it: with its own AWS keys."""
    outputs = stack.outputs().get("logIngest")
    if system != "log_ingest" or not outputs:
        known = "log_ingest" if outputs else "none yet"
        raise LocalCloudError(f"feed: system must be one that is deployed ({known}), got {system!r}; run ./millrace up")
    supervisor = stack.require()
    keys = supervisor.call("GET", "/outside", None, Outside)
    endpoints = stack.status().endpoints
    s3, sqs = (_client(service, endpoints, keys) for service in ("s3", "sqs"))

    def put(key: str, body: bytes | Path) -> None:
        with _told(stack, key):
            if isinstance(body, Path):
                s3.upload_file(str(body), outputs["bucket"], key)
            else:
                s3.put_object(Bucket=outputs["bucket"], Key=key, Body=body)

    def send(body: str) -> None:
        with _told(stack, "a message"):
            sqs.send_message(QueueUrl=outputs["queueUrl"], MessageBody=body)

    return put, send


@contextmanager
def _told(stack: LocalStack, what: str) -> Iterator[None]:
    """What AWS' SDK raises, as a sentence, with what is wrong with the local cloud if it knows."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        problems = "".join(f"\n  {problem}" for problem in stack.status().problems.values())
        raise LocalCloudError(
            f"feed: {what} must be taken by the local cloud, got: {error}; what was given before it stays{problems}"
        ) from error


def _client(service: str, endpoints: dict[str, str], keys: Outside) -> Any:
    import boto3  # only feeding needs it: 0.3 s

    return boto3.client(
        service,  # type: ignore[call-overload]  # the stubs list services by literal
        endpoint_url=endpoints[service],
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name=keys.region,
        verify=endpoints["ca_file"],
    )
