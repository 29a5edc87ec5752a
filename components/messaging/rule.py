"""What a subscription takes of its topic's messages, and what it changes in them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pulumi_azure_native import servicebus

from components.errors import require
from components.messaging.limits import check_sql

EVERYTHING = "1=1"
"""As Azure writes the rule that lets all through."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Correlation:
    """Equal values, all of them; cheaper for the service than SQL."""

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    label: str | None = None
    """The message's subject."""
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    """Application properties, as text (Azure's management takes no other kind)."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        require(
            any(asdict(self).values()),
            "Correlation",
            must="it must name at least one value",
            got="none",
            change='write for example Correlation(label="paid")',
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A filter (one of two kinds, or none for everything) and what is done to the messages that pass it."""

    sql: str | None = None
    """For example `type = 'paid' AND amount > 100`; bare names are application properties, `sys.Label` the subject."""
    correlation: Correlation | None = None
    action: str | None = None
    """For example `SET priority = 1`. Each rule with an action that a message passes gives one copy of it."""

    def __post_init__(self) -> None:
        """Plain values are checked at once."""
        require(
            self.sql is None or self.correlation is None,
            "Rule",
            must="it must have one filter",
            got="sql and correlation",
            change="write two rules if either may hold, one SQL expression if both must",
        )
        for name, text in (("sql", self.sql), ("action", self.action)):
            if text is not None:
                check_sql("Rule", name, text)

    def inputs(self) -> dict[str, Any]:
        """As azure-native takes them."""
        action = {"sql_expression": self.action} if self.action else None
        if self.correlation:
            named = {key: value for key, value in asdict(self.correlation).items() if value}
            return {
                "action": action,
                "filter_type": servicebus.FilterType.CORRELATION_FILTER,
                "correlation_filter": named,
            }
        return {
            "action": action,
            "filter_type": servicebus.FilterType.SQL_FILTER,
            "sql_filter": {"sql_expression": self.sql or EVERYTHING},
        }
