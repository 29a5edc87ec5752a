"""The service's names of options, in the order of its descriptions, and how their values are read and written."""

import json
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from localcloud.emulators.service_bus.broker.options import Options, Status
from localcloud.emulators.service_bus.management import durations

Kind = Literal["duration", "whole", "flag", "text", "status"]


class WrongValueError(ValueError):
    """What must hold, what was got."""


@dataclass(frozen=True, slots=True)
class Property:
    """One option: `field` is its name in `broker.options`."""

    field: str
    kind: Kind

    def from_json(self, value: Any) -> Any:
        """A value of Config.json."""
        if self.kind == "flag":
            if not isinstance(value, bool):
                raise WrongValueError(f"must be true or false, got {json.dumps(value)}")
            return value
        if self.kind == "whole":
            if not isinstance(value, int) or isinstance(value, bool):
                raise WrongValueError(f"must be a whole number, got {json.dumps(value)}")
            return value
        if not isinstance(value, str):
            raise WrongValueError(f"must be a text, got {json.dumps(value)}")
        return self._from_text(value)

    def from_xml(self, text: str) -> Any:
        """An element's text."""
        text = text.strip()
        if self.kind == "flag":
            if text.lower() not in ("true", "false"):
                raise WrongValueError(f"must be true or false, got {text!r}")
            return text.lower() == "true"
        if self.kind == "whole":
            try:
                return int(text)
            except ValueError:
                raise WrongValueError(f"must be a whole number, got {text!r}") from None
        return self._from_text(text)

    def _from_text(self, text: str) -> Any:
        if self.kind == "duration":
            return durations.parse(text)
        if self.kind == "status":
            if text not in tuple(Status):
                raise WrongValueError(f"must be one of {', '.join(Status)}, got {json.dumps(text)}")
            return Status(text)
        return text or None

    def to_xml(self, value: Any) -> str | None:
        """An element's text; None: no element."""
        if self.kind == "duration":
            return durations.text(value)
        if self.kind == "flag":
            return "true" if value else "false"
        return None if value is None else str(value)


PROPERTIES: Final[dict[str, Property]] = {
    "LockDuration": Property("lock_s", "duration"),
    "MaxSizeInMegabytes": Property("max_size_mb", "whole"),
    "RequiresDuplicateDetection": Property("requires_duplicate_detection", "flag"),
    "RequiresSession": Property("requires_session", "flag"),
    "DefaultMessageTimeToLive": Property("default_ttl_s", "duration"),
    "DeadLetteringOnMessageExpiration": Property("dead_letter_on_expiration", "flag"),
    "DeadLetteringOnFilterEvaluationExceptions": Property("dead_letter_on_filter_errors", "flag"),
    "DuplicateDetectionHistoryTimeWindow": Property("duplicate_window_s", "duration"),
    "MaxDeliveryCount": Property("max_delivery_count", "whole"),
    "EnableBatchedOperations": Property("enable_batched_operations", "flag"),
    "FilteringMessagesBeforePublishing": Property("filtering_before_publishing", "flag"),
    "Status": Property("status", "status"),
    "ForwardTo": Property("forward_to", "text"),
    "UserMetadata": Property("user_metadata", "text"),
    "SupportOrdering": Property("support_ordering", "flag"),
    "AutoDeleteOnIdle": Property("auto_delete_s", "duration"),
    "EnablePartitioning": Property("enable_partitioning", "flag"),
    "EnableExpress": Property("enable_express", "flag"),
    "ForwardDeadLetteredMessagesTo": Property("forward_dead_letters_to", "text"),
    "MaxMessageSizeInKilobytes": Property("max_message_kib", "whole"),
}
CORRELATION: Final = {
    "ContentType": "content_type",
    "CorrelationId": "correlation_id",
    "Label": "label",
    "Subject": "label",
    "MessageId": "message_id",
    "ReplyTo": "reply_to",
    "ReplyToSessionId": "reply_to_session_id",
    "SessionId": "session_id",
    "To": "to",
}


def properties_of(kind: type[Options]) -> dict[str, Property]:
    """Those that entities of this kind have."""
    known = {field.name for field in fields(kind)}
    return {name: entry for name, entry in PROPERTIES.items() if entry.field in known}
