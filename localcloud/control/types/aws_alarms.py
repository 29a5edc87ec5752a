"""AWS alarms and the mail they send. Nothing is sent from this machine: they are checked, recorded and shown."""

import uuid

from localcloud.control.kinds import Kind, Place, Subject, Values


def _arn(here: Place, it: Subject, service: str, rest: str) -> str:
    region = it.inputs.get("region", here.tenancy.aws_region)
    return f"arn:aws:{service}:{region}:{here.tenancy.aws_account}:{rest}"


def _named(it: Subject) -> str:
    return str(it.inputs.get("name") or it.name)


def _topic_arn(here: Place, it: Subject) -> str:
    return _arn(here, it, "sns", _named(it))


def _topic(here: Place, it: Subject) -> Values:
    return {"arn": it.id, "owner": here.tenancy.aws_account}


def _subscription_arn(here: Place, it: Subject) -> str:
    what = f"{it.inputs['topic']}:{it.inputs['protocol']}:{it.inputs['endpoint']}"
    return f"{it.inputs['topic']}:{uuid.uuid5(uuid.NAMESPACE_URL, what)}"


def _subscription(here: Place, it: Subject) -> Values:
    return {"arn": it.id, "ownerId": here.tenancy.aws_account, "pendingConfirmation": True}


def _alarm(here: Place, it: Subject) -> Values:
    return {"arn": _arn(here, it, "cloudwatch", f"alarm:{it.id}")}


KINDS = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(id_of=lambda _here, it: _named(it), outputs=_alarm),
    "aws:sns/topic:Topic": Kind(id_of=_topic_arn, outputs=_topic),
    "aws:sns/topicSubscription:TopicSubscription": Kind(id_of=_subscription_arn, outputs=_subscription),
}
