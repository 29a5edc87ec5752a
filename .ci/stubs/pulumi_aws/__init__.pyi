# As for `pulumi_azure_native`: what is used, each the SDK's own.
from pulumi_aws import cloudwatch as cloudwatch
from pulumi_aws import iam as iam
from pulumi_aws import s3 as s3
from pulumi_aws import sns as sns
from pulumi_aws import sqs as sqs
from pulumi_aws._enums import Region as Region
from pulumi_aws.get_region import get_region as get_region
from pulumi_aws.provider import Provider as Provider
