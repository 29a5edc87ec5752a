"""What AWS refuses though no schema says so. One function per rule, each with its source; ``broken`` runs them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from localcloud.control.check_view import Failure, View

Siblings = Callable[[str], Mapping[str, Any] | None]
Rule = Callable[[View, Siblings], Iterator[Failure]]

POLICY_KEYS = {"Version", "Id", "Statement"}
STATEMENT_KEYS = {
    "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition",
}  # fmt: skip
POLICY_TEXT = re.compile(r"[\t\n\r\u0020-\u00ff]+\Z")  # botocore iam:policyDocumentType
ACTION = re.compile(r"\*\Z|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+\Z")
QUEUE_ARN = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,80}\Z")


def broken(type_token: str, view: View, siblings: Siblings) -> list[Failure]:
    """Every rule that the inputs break."""
    return [failure for rule in (tags, one_name, *RULES.get(type_token, ())) for failure in rule(view, siblings)]


def tags(view: View, _: Siblings) -> Iterator[Failure]:
    """At most 50 tags; keys to 128 characters, not starting with ``aws:``, values to 256 (AWS tagging reference)."""
    pairs = view.entries("tags")
    if len(pairs) > 50:
        yield Failure("tags", f"must hold at most 50 tags, got {len(pairs)}; remove some")
    for name, value in pairs:
        if len(name) > 128 or name.lower().startswith("aws:"):
            yield Failure(f'tags["{name[:40]}"]', 'must have a key of at most 128 characters, not "aws:…"; rename it')
        if isinstance(value, str) and len(value) > 256:
            yield Failure(f'tags["{name}"]', f"must have at most 256 characters, got {len(value)}; shorten it")


def one_name(view: View, _: Siblings) -> Iterator[Failure]:
    """A name or a prefix for a generated one, not both (pulumi-aws: the two conflict)."""
    for name, prefix in (("name", "namePrefix"), ("bucket", "bucketPrefix")):
        if view.has(name) and view.has(prefix):
            yield Failure(prefix, f"must not be set beside {name}; remove one of them")


def _document(path: str, value: Any) -> tuple[dict[str, Any] | None, list[Failure]]:
    """A JSON document given as text or as a dict, or why it is none."""
    if not isinstance(value, str):
        return (dict(value), []) if isinstance(value, Mapping) else (None, [])
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError as error:
        got = f"{error.msg} at character {error.pos}"
        return None, [Failure(path, f"must be valid JSON, got {got}; build it with json.dumps")]
    if not isinstance(parsed, dict):
        return None, [Failure(path, f"must be a JSON object, got a {type(parsed).__name__}; build it with json.dumps")]
    return parsed, []


def policy(path: str, *, principal: bool, resource: bool) -> Rule:
    """The rule for a policy document at ``path`` (IAM reference, "Grammar of the IAM JSON policy language").

    A trust policy names principals and no resource, an identity's policy resources and no principal, a resource's both.
    """

    def rule(view: View, _: Siblings) -> Iterator[Failure]:
        document, failures = _document(path, view.get(path))
        yield from failures
        if document is None:
            return
        if isinstance(view.get(path), str) and not POLICY_TEXT.match(view.text(path)):
            yield Failure(path, "must hold Latin-1 characters only (IAM); replace the others")
        yield from _strangers(path, document, POLICY_KEYS)
        if document.get("Version") not in ("2012-10-17", "2008-10-17"):
            got = json.dumps(document.get("Version"))
            yield Failure(
                f"{path}.Version", f'must be "2012-10-17" (or the old "2008-10-17"), got {got}; write the first'
            )
        statements = document.get("Statement")
        statements = [statements] if isinstance(statements, Mapping) else statements
        if not isinstance(statements, list) or not statements:
            yield Failure(f"{path}.Statement", "must hold at least one statement, got none; add one")
            return
        for index, statement in enumerate(statements):
            if isinstance(statement, Mapping):
                yield from _statement(
                    f"{path}.Statement[{index}]", statement, view, principal=principal, resource=resource
                )
            else:
                yield Failure(f"{path}.Statement[{index}]", "must be an object, got something else; write a dict")

    return rule


def _strangers(path: str, values: Mapping[str, Any], known: set[str]) -> Iterator[Failure]:
    for key in values:
        if key not in known:
            same = next((name for name in known if name.lower() == key.lower()), "")
            change = f'did you mean "{same}"?' if same else f"known are {', '.join(sorted(known))}"
            yield Failure(f"{path}.{key}", f"must not be set: policies have no such element; {change}")


def _statement(
    path: str, statement: Mapping[str, Any], view: View, *, principal: bool, resource: bool
) -> Iterator[Failure]:
    yield from _strangers(path, statement, STATEMENT_KEYS)
    if statement.get("Effect") not in ("Allow", "Deny") and not view.is_unknown(statement.get("Effect")):
        yield Failure(
            f"{path}.Effect", f'must be "Allow" or "Deny", got {json.dumps(statement.get("Effect"))}; write one'
        )
    for element, wanted in (("Action", True), ("Resource", resource), ("Principal", principal)):
        count = (element in statement) + (f"Not{element}" in statement)
        if wanted and count != 1:
            yield Failure(f"{path}.{element}", f"must be given (or Not{element}), exactly one of the two; got {count}")
        if not wanted and count:
            yield Failure(f"{path}.{element}", f"must not be in this kind of policy, got one; remove {element}")
    actions = statement.get("Action", statement.get("NotAction", []))
    for action in [actions] if isinstance(actions, str) else actions if isinstance(actions, list) else []:
        if isinstance(action, str) and not view.is_unknown(action) and not ACTION.match(action):
            yield Failure(f"{path}.Action", f'must be "service:Action", got "{action}"; write "sqs:SendMessage", say')
    condition = statement.get("Condition", {})
    if not isinstance(condition, Mapping) or not all(isinstance(test, Mapping) for test in condition.values()):
        yield Failure(f"{path}.Condition", "must be {operator: {key: value}}, got another shape; nest it so")


def redrive_policy(view: View, _: Siblings) -> Iterator[Failure]:
    """JSON with a dead-letter queue's ARN and a receive count of 1 to 1,000 (SQS CreateQueue, RedrivePolicy)."""
    document, failures = _document("redrivePolicy", view.get("redrivePolicy"))
    yield from failures
    if document is None:
        return
    yield from _strangers("redrivePolicy", document, {"deadLetterTargetArn", "maxReceiveCount"})
    arn, count = document.get("deadLetterTargetArn"), document.get("maxReceiveCount")
    if not view.is_unknown(arn) and not (isinstance(arn, str) and QUEUE_ARN.match(arn)):
        yield Failure(
            "redrivePolicy.deadLetterTargetArn", f"must be a queue's ARN, got {json.dumps(arn)}; use queue.arn"
        )
    number = int(count) if isinstance(count, str) and count.isdigit() and not view.is_unknown(count) else count
    if not view.is_unknown(count) and not (isinstance(number, int) and 1 <= number <= 1000):
        yield Failure("redrivePolicy.maxReceiveCount", f"must be 1 to 1000, got {json.dumps(count)}; write 5")


def redrive_allow_policy(view: View, _: Siblings) -> Iterator[Failure]:
    """JSON with a permission, and up to ten source queues for ``byQueue`` (SQS CreateQueue, RedriveAllowPolicy)."""
    path = "redriveAllowPolicy"
    document, failures = _document(path, view.get(path))
    yield from failures
    if document is None:
        return
    yield from _strangers(path, document, {"redrivePermission", "sourceQueueArns"})
    permission, sources = document.get("redrivePermission"), document.get("sourceQueueArns")
    if permission not in ("allowAll", "denyAll", "byQueue"):
        yield Failure(
            f"{path}.redrivePermission", f"must be allowAll, denyAll or byQueue, got {json.dumps(permission)}"
        )
    if (permission == "byQueue") != bool(sources):
        yield Failure(f"{path}.sourceQueueArns", "must be given with byQueue and only then; add or remove it")
    if isinstance(sources, list) and len(sources) > 10:
        yield Failure(f"{path}.sourceQueueArns", f"must hold at most 10 ARNs, got {len(sources)}; use allowAll")


def fifo_name(view: View, _: Siblings) -> Iterator[Failure]:
    """A FIFO queue's name ends in ``.fifo`` and no other's does (SQS CreateQueue)."""
    name = view.text("name")
    if name and name.endswith(".fifo") != bool(view.get("fifoQueue")):
        yield Failure("name", f'must end in ".fifo" if and only if fifoQueue is set, got "{name}"; change one of them')


def notification_targets(view: View, _: Siblings) -> Iterator[Failure]:
    """Targets are queue ARNs, and no two configurations match the same object and event.

    Source: Amazon S3, "Configuring event notifications using object key name filtering": overlapping prefixes with
    overlapping suffixes are refused ("Configurations overlap").
    """
    queues = list(view.items("queues"))
    for index, (path, queue) in enumerate(queues):
        arn = queue.text("queueArn")
        if arn and not QUEUE_ARN.match(arn):
            yield Failure(f"{path}.queueArn", f'must be a queue\'s ARN, got "{arn}"; use queue.arn')
        if queue.get("events") == []:
            yield Failure(f"{path}.events", 'must hold at least one event, got none; write "s3:ObjectCreated:*"')
        for earlier in queues[:index]:
            if _overlap(queue, earlier[1]):
                yield Failure(
                    path, "must not overlap another configuration (events, prefix, suffix); narrow one of them"
                )


def _overlap(one: View, two: View) -> bool:
    if any(view.is_unknown(view.inputs.get(key)) for view in (one, two) for key in ("filterPrefix", "filterSuffix")):
        return False
    first, second = [view.get("events") or [] for view in (one, two)]
    events = any(fnmatchcase(a, b) or fnmatchcase(b, a) for a in first for b in second)
    heads, tails = (
        [view.text("filterPrefix") for view in (one, two)],
        [view.text("filterSuffix") for view in (one, two)],
    )
    before = heads[0].startswith(heads[1]) or heads[1].startswith(heads[0])
    after = tails[0].endswith(tails[1]) or tails[1].endswith(tails[0])
    return events and before and after


def lifecycle_ids(view: View, _: Siblings) -> Iterator[Failure]:
    """Rule ids are unique and at most 255 characters (S3 PutBucketLifecycleConfiguration)."""
    seen: set[str] = set()
    for path, rule in view.items("rules"):
        name = rule.text("id")
        if name in seen or len(name) > 255:
            yield Failure(f"{path}.id", f'must be unique and at most 255 characters, got "{name[:40]}"; rename it')
        seen.add(name or path)


RULES: dict[str, tuple[Rule, ...]] = {
    "aws:iam/role:Role": (policy("assumeRolePolicy", principal=True, resource=False),),
    "aws:iam/rolePolicy:RolePolicy": (policy("policy", principal=False, resource=True),),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (lifecycle_ids,),
    "aws:s3/bucketNotification:BucketNotification": (notification_targets,),
    "aws:s3/bucketPolicy:BucketPolicy": (policy("policy", principal=True, resource=True),),
    "aws:sqs/queue:Queue": (fifo_name, redrive_policy, redrive_allow_policy),
    "aws:sqs/queuePolicy:QueuePolicy": (policy("policy", principal=True, resource=True),),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": (redrive_allow_policy,),
}
