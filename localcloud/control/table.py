"""The one table: resource type token → what it means locally."""

from localcloud.control.kinds import Kind
from localcloud.control.types import (
    aws,
    aws_alarms,
    azure_database,
    azure_foundation,
    azure_service_bus,
    azure_storage,
    azure_web,
)

KINDS: dict[str, Kind] = {
    **azure_foundation.KINDS,
    **azure_storage.KINDS,
    **azure_service_bus.KINDS,
    **azure_database.KINDS,
    **azure_web.KINDS,
    **aws.KINDS,
    **aws_alarms.KINDS,
}
ECHO = Kind()


def kind_of(type_: str) -> Kind:
    """The type's own `Kind`; record-and-echo for every type that does nothing here."""
    return KINDS.get(type_, ECHO)
