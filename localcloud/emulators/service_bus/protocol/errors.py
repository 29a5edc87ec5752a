"""Refusals of the protocol itself. What they end is said by who catches them: a link, a session or the connection."""


class ProtocolError(Exception):
    """The connection cannot go on: `condition` is the AMQP error condition of the close that follows."""

    def __init__(self, condition: str, text: str) -> None:
        super().__init__(text)
        self.condition = condition
        self.text = text


class SessionError(ProtocolError):
    """The session cannot go on: `condition` is that of the end that follows."""


class LinkError(ProtocolError):
    """The link cannot be, or cannot go on: `condition` is that of the detach that follows."""


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """Who asks may not: the text says what the token lacks."""


class Condition:
    """AMQP 1.0's own conditions (part 2 § 2.8) that the protocol answers with."""

    DECODE = "amqp:decode-error"
    FRAMING = "amqp:connection:framing-error"
    FORCED = "amqp:connection:forced"
    INTERNAL = "amqp:internal-error"
    ILLEGAL_STATE = "amqp:illegal-state"
    INVALID_FIELD = "amqp:invalid-field"
    NOT_ALLOWED = "amqp:not-allowed"
    NOT_IMPLEMENTED = "amqp:not-implemented"
    RESOURCE_LIMIT = "amqp:resource-limit-exceeded"
    UNAUTHORIZED = "amqp:unauthorized-access"
    WINDOW = "amqp:session:window-violation"
    UNATTACHED = "amqp:session:unattached-handle"
    HANDLE_IN_USE = "amqp:session:handle-in-use"
    TOO_LARGE = "amqp:link:message-size-exceeded"
    TRANSFER_LIMIT = "amqp:link:transfer-limit-exceeded"
