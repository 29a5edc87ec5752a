"""Extracts what AWS accepts, once, into ``constraints/aws/<module>.json``.

    python -m localcloud.control.extract_aws            write the files
    python -m localcloud.control.extract_aws --check    compare with the committed ones; a diff and exit 1

pulumi-aws' input classes say which properties exist (camelCase), their types and which are required, but carry no
bound, pattern or value. botocore's service models do; ``constraints/aws_mapping.json`` says which of their shapes
speaks about which property (``iam:roleNameType``), or which attribute's documented integer range, where AWS passes
attributes as text (``sqs#DelaySeconds``). What neither carries (the rules for bucket names, what may not change) is
in ``constraints/corrections.json``. To add a resource type: one line in ``TYPES``, then run the command.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import importlib.util
import json
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from localcloud.control.extract_output import CONSTRAINTS, write
from localcloud.control.extract_sdk import Schema, Sdk, snake

# Type token -> the input that is the resource's own name, "" where it is named by another (a bucket's policy).
TYPES = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": "name",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "",
    "aws:iam/role:Role": "name",
    "aws:iam/rolePolicy:RolePolicy": "name",
    "aws:s3/bucket:Bucket": "bucket",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "",
    "aws:s3/bucketLogging:BucketLogging": "",
    "aws:s3/bucketNotification:BucketNotification": "",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "",
    "aws:s3/bucketPolicy:BucketPolicy": "",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "",
    "aws:s3/bucketVersioning:BucketVersioning": "",
    "aws:sns/topic:Topic": "name",
    "aws:sns/topicSubscription:TopicSubscription": "",
    "aws:sqs/queue:Queue": "name",
    "aws:sqs/queuePolicy:QueuePolicy": "",
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": "",
}

RANGE = r"{name}\s+–.*?[Aa]n integer (?:representing seconds, )?(?:from|between)? ?([\d,]+)[^.]*? (?:to|and) ([\d,]+)"


def package(name: str) -> Path:
    """The folder of an installed distribution's package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"{name} must be installed, it is not; install requirements-dev.txt")
    return Path(spec.submodule_search_locations[0])


@lru_cache(maxsize=8)
def service(name: str) -> dict[str, Any]:
    """The newest model of a service in botocore."""
    path = max((package("botocore") / "data" / name).glob("*/service-2.json.gz"))
    model = json.loads(gzip.decompress(path.read_bytes()))
    return model if isinstance(model, dict) else {}


def shape_limits(reference: str) -> Schema:
    """The limits that ``service:shape`` or ``service#attribute`` stands for; a list's are those of its ``items``."""
    if "#" in reference:
        return _documented_range(*reference.split("#"))
    name, _, shape_name = reference.partition(":")
    shapes = service(name)["shapes"]
    shape = shapes[shape_name]
    if shape["type"] == "list":
        return {"items": shape_limits(f"{name}:{shape['member']['shape']}")}
    found: Schema = {"enum": sorted(shape["enum"])} if "enum" in shape else {}
    numeric = shape["type"] in {"integer", "long"}
    for theirs, ours in (("min", "min"), ("max", "max")) if numeric else (("min", "min_length"), ("max", "max_length")):
        if theirs in shape:
            found[ours] = shape[theirs]
    if "pattern" in shape:
        found["pattern"] = f"(?a)^(?:{shape['pattern']})$"  # botocore's patterns mean the whole value, \\w is ASCII
    return found


def _documented_range(name: str, attribute: str) -> Schema:
    members = service(name)["shapes"]["CreateQueueRequest"]["members"]
    text = re.sub(r"<[^>]+>|\s+", " ", members["Attributes"]["documentation"])
    match = re.search(RANGE.format(name=attribute), text)
    if match is None:
        raise LookupError(f"botocore {name}: the range of {attribute} must be in its documentation, it is not")
    low, high = (int(number.replace(",", "")) for number in match.groups())
    return {"min": low, "max": high}


def extract() -> dict[str, dict[str, Any]]:
    """File name -> content for every module of ``TYPES``."""
    root = package("pulumi_aws")
    mapping = json.loads((CONSTRAINTS / "aws_mapping.json").read_text(encoding="utf-8"))
    sources = [f"{name} {importlib.metadata.version(name)}" for name in ("pulumi-aws", "botocore")]
    files: dict[str, dict[str, Any]] = {}
    for module in sorted({token.split(":")[1].partition("/")[0] for token in TYPES}):
        sdk = Sdk(root, module)
        resources: dict[str, Any] = {}
        for token, name_property in TYPES.items():
            if token.startswith(f"aws:{module}/"):
                inputs, outputs, _ = sdk.resource(token, f"{snake(token.rpartition(':')[2])}.py")
                if "region" in inputs:
                    inputs["region"]["replace"] = True  # nothing moves between regions
                resources[token] = {"inputs": inputs, "name_property": name_property, "outputs": outputs}
        name = f"aws/{module}.json"
        files[name] = {"sources": sources, "resources": resources, "types": sdk.types}
        for *keys, reference in mapping.get(name, []):
            _apply(files[name], keys, shape_limits(reference))
    return files


def _apply(content: dict[str, Any], keys: list[str], limits: Schema) -> None:
    place = content
    for key in keys:
        if key not in place:
            raise LookupError(f"aws_mapping.json: {keys} must exist, {key!r} does not; correct the line")
        place = place[key]
    if "items" in limits:
        place["items"].update(limits["items"])
    else:
        place.update(limits)


def main() -> int:
    """Run the command; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Extract AWS's constraints into localcloud/control/constraints.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when the committed data differ")
    check = parser.parse_args().check
    changed = write(extract(), check=check)
    sys.stdout.write("\n".join(changed) + "\n" if check and changed else "")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
