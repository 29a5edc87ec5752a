"""How the outside world gives each system its input locally: one entry a system, its own module knows the content."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from localcloud.outside import log_ingest
from localcloud.outside.alma.sample import sample_job
from localcloud.session.alma import alma
from localcloud.session.local import LocalCloudError, LocalStack
from localcloud.supervisor.shapes import Outside

DEPLOYED = {"log_ingest": "logIngest", "alma_analytics": "almaAnalytics"}
"""Systems by their outputs."""
Put = Callable[[str, "bytes | Path"], None]


def feed_paths(stack: LocalStack, system: str, paths: Iterable[Path]) -> int:
    """Give a system these files; answers how many inputs it got."""
    if system == "alma_analytics":
        return _report_jobs(stack, paths)
    put, send = log_bucket(stack, system)
    return log_ingest.feed(paths, put, send)


def feed_sample(stack: LocalStack, system: str, on_item: Callable[[int], None] = lambda _count: None) -> int:
    """Give a system its sample input; answers how many inputs it got."""
    if system == "alma_analytics":
        return _sample_job(stack)
    put, _ = log_bucket(stack, system)
    count = 0
    for key, body in log_ingest.sample_objects():
        put(key, body)
        count += 1
        on_item(count)
    return count


def _report_jobs(stack: LocalStack, paths: Iterable[Path]) -> int:
    """As a librarian gives them: every file is a list of report jobs; each is applied and begun."""
    with alma(stack) as system:
        count = 0
        for path in paths:
            files = sorted(path.rglob("*.y*ml")) + sorted(path.rglob("*.json")) if path.is_dir() else [path]
            for file in files:
                done = system.apply(file)
                names = [*done.created, *done.changed, *done.unchanged]
                for name in names:
                    system.run(name, dry_run=False)
                count += len(names)
        return count


def _sample_job(stack: LocalStack) -> int:
    """The report job that goes with the sample library (localcloud/outside/alma/sample.py)."""
    job = sample_job()
    with alma(stack) as system:
        system.put([msgspec.to_builtins(job)], "the sample")
        system.run(job.name, dry_run=False)
    return 1


def log_bucket(stack: LocalStack, system: str) -> tuple[Put, Callable[[str], None]]:
    """Objects into the bucket and messages into the queue, as the log vendor does it: with its own AWS keys."""
    outputs = stack.outputs().get("logIngest")
    if system != "log_ingest" or not outputs:
        known = ", ".join(name for name, key in DEPLOYED.items() if stack.outputs().get(key)) or "none yet"
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
