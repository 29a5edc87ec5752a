"""Mail when a queue's dead letters are not empty. CloudWatch sees them; Azure does not.

The topic is not encrypted on purpose: CloudWatch may not use AWS' own SNS key, and the mails hold names and numbers
only. Each address gets one mail from AWS to confirm; until then it is told nothing.
"""

import pulumi
import pulumi_aws as aws

from components.link import after
from components.naming import Environment

PERIOD_S = 300  # seconds; SQS reports to CloudWatch every one to five minutes


def dead_letter_alarm(
    name: str, queue_name: pulumi.Input[str], environment: Environment, *, parent: pulumi.Resource
) -> aws.cloudwatch.MetricAlarm | None:
    """Alarm, topic and one subscription an address; None where nobody is to be told."""
    if not environment.alert_emails:
        return None
    child = pulumi.ResourceOptions(parent=parent)
    physical = environment.claim("topic", f"{name}-alerts")
    topic = aws.sns.Topic(name, name=physical, tags=environment.all_tags(), opts=child)
    arn = after(f"arn:aws:sns:{environment.aws_region}:{environment.aws_account_id}:{physical}", topic)
    for email in environment.alert_emails:
        aws.sns.TopicSubscription(f"{name}-{email}", topic=arn, protocol="email", endpoint=email, opts=child)
    return aws.cloudwatch.MetricAlarm(
        name,
        name=environment.claim("alarm", f"{name}-dead-letters"),
        alarm_description=f"{name}: messages were received too often and lie among the dead letters",
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": queue_name},
        statistic="Maximum",
        comparison_operator="GreaterThanThreshold",
        threshold=0,
        period=PERIOD_S,
        evaluation_periods=1,
        treat_missing_data="notBreaching",  # an idle queue reports nothing
        alarm_actions=[arn],
        tags=environment.all_tags(),
        opts=child,
    )
