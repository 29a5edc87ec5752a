"""Which of a stack's resources belong to which systems."""

from collections.abc import Callable, Mapping

from localcloud.engine.state import Record

SYSTEM_TYPE = "millrace:system:System"
NAMESPACE = "azure-native:servicebus:Namespace"
BUS_ENTITIES = frozenset(f"azure-native:servicebus:{kind}" for kind in ("Queue", "Topic", "Subscription"))


def others(systems: list[str]) -> Callable[[Record, dict[str, Record]], bool]:
    """Spare what belongs to a system that this run leaves out."""

    def keep(record: Record, records: dict[str, Record]) -> bool:
        above: Record | None = record
        while above is not None:
            if above.type == SYSTEM_TYPE:
                return above.name not in systems
            above = records.get(above.parent)
        return False

    return keep


def queues_of(systems: list[str], records: dict[str, Record]) -> set[str]:
    """Names of the queues that these systems declare, as `status` lists them."""
    spare = others(systems)
    names = set()
    for record in records.values():
        if record.type == "aws:sqs/queue:Queue" and not spare(record, records):
            names.add(str(record.inputs["name"]))
        if record.type == "azure-native:storage:Queue" and not spare(record, records):
            names.add(f"{record.inputs['accountName']}/{record.inputs['queueName']}")
        if record.type in BUS_ENTITIES and not spare(record, records):
            parts = ("namespaceName", "queueName", "topicName", "subscriptionName")
            names.add("/".join(str(record.inputs[part]) for part in parts if part in record.inputs))
    return names


def namespaces(records: Mapping[str, Record]) -> list[tuple[str, str]]:
    """Name and host of every Service Bus namespace, in order of their names."""
    found = [one for one in records.values() if one.type == NAMESPACE and "serviceBusEndpoint" in one.outputs]
    return sorted((str(one.inputs["namespaceName"]), host_of(str(one.outputs["serviceBusEndpoint"]))) for one in found)


def host_of(endpoint: str) -> str:
    """components.messaging.namespace.host_of, without Pulumi."""
    return endpoint.partition("://")[2].rstrip("/").removesuffix(":443")
