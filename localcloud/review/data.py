"""Which resource types hold data: what is lost when one of them is deleted or replaced. The one place that says so."""

HOLDS: dict[str, str] = {
    "aws:dynamodb/table:Table": "its items",
    "aws:s3/bucket:Bucket": "its objects",
    "aws:sqs/queue:Queue": "its messages",
    "azure-native:dbforpostgresql:Database": "its tables",
    "azure-native:dbforpostgresql:Server": "its databases",
    "azure-native:keyvault:Vault": "its secrets",
    "azure-native:operationalinsights:Table": "its rows",
    "azure-native:operationalinsights:Workspace": "its logs",
    "azure-native:resources:ResourceGroup": "everything in it",
    "azure-native:servicebus:Namespace": "its queues, topics and their messages",
    "azure-native:servicebus:Queue": "its messages",
    "azure-native:servicebus:Subscription": "its messages",
    "azure-native:servicebus:Topic": "its messages",
    "azure-native:storage:BlobContainer": "its blobs",
    "azure-native:storage:FileShare": "its files",
    "azure-native:storage:Queue": "its messages",
    "azure-native:storage:StorageAccount": "its blobs, queues and tables",
    "azure-native:storage:Table": "its entities",
}


GUARDS: dict[str, str] = {"azure-native:authorization:ManagementLockByScope": "what it locks"}
"""Types that hold nothing and keep others from being deleted."""


def guarded_by(type_: str) -> str:
    """What would stand open without a resource of this type, in words; "" for one that guards nothing."""
    return GUARDS.get(type_, "")


def held_by(type_: str) -> str:
    """What a resource of this type holds, in words; "" for one that can be made again from the program."""
    return HOLDS.get(type_, "")
