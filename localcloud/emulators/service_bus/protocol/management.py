"""`$management` of an entity: the operations of Service Bus' "request/response-based operations".

Each operation is a function of a Request to the answer's body; it raises BrokerError. Names of operations, fields and
types are documented there; which right each needs is our reading (see `access`).
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.emulators.service_bus.broker.interface import Broker, Entity
from localcloud.emulators.service_bus.broker.model import (
    Abandon,
    BrokerError,
    Complete,
    Condition,
    DeadLetter,
    Defer,
    Envelope,
    Outcome,
)
from localcloud.emulators.service_bus.codec.types import Array, CodecError, Int, Symbol, Timestamp
from localcloud.emulators.service_bus.protocol import envelopes, rules
from localcloud.emulators.service_bus.protocol.access import Verb
from localcloud.emulators.service_bus.protocol.errors import Refused

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.session import Session

MOST_BYTES = 4 << 20
"""Bytes of messages in one answer, and at least one message."""
UNAUTHORIZED = "amqp:unauthorized-access"
DECODE = "amqp:decode-error"

_STATUS = {
    Condition.NOT_FOUND: 404, Condition.MESSAGE_NOT_FOUND: 404,
    Condition.LOCK_LOST: 410, Condition.SESSION_LOCK_LOST: 410,
    Condition.SESSION_LOCKED: 409, Condition.ENTITY_EXISTS: 409, Condition.TIMEOUT: 408, Condition.ENTITY_DISABLED: 403,
    Condition.RESOURCE_LIMIT: 403, Condition.INVALID_OPERATION: 501, UNAUTHORIZED: 401,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One request to an entity."""

    broker: Broker
    entity: Entity
    body: dict[Any, Any]

    def need(self, name: str, *kinds: type) -> Any:
        """A field that must be there. Raises BrokerError."""
        value = self.body.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise BrokerError(Condition.ARGUMENT, f"{name} must be {wanted}, got {type(value).__name__}")
        return value

    def tokens(self) -> list[uuid.UUID]:
        """The field lock-tokens."""
        return self._all("lock-tokens", uuid.UUID)

    def sequences(self) -> list[int]:
        """The field sequence-numbers."""
        return [int(number) for number in self._all("sequence-numbers", int)]

    def _all(self, name: str, kind: type) -> list[Any]:
        found = self.need(name, list)
        if not found or not all(isinstance(one, kind) for one in found):
            raise BrokerError(Condition.ARGUMENT, f"{name} must be an array of {kind.__name__}, not empty")
        return list(found)

    @property
    def session(self) -> str | None:
        """The field session-id."""
        return None if self.body.get("session-id") is None else str(self.need("session-id", str))


def answer(session: "Session", path: str, asked: dict[Any, Any], body: Any) -> tuple[dict[str, Any], Any]:
    """Status and body of the answer to one request."""
    operation = str(asked.get("operation")).removeprefix("com.microsoft:")
    try:
        if operation not in OPERATIONS:
            raise BrokerError(
                Condition.INVALID_OPERATION,
                f"there is no operation {operation!r}; there are: {', '.join(sorted(OPERATIONS))}",
            )
        verb, act = OPERATIONS[operation]
        session.connection.access.check(path, verb)
        found = act(Request(session.broker, session.broker.entity(path), body if isinstance(body, dict) else {}))
    except BrokerError as error:
        return _failed(error.condition, error.text), None
    except Refused as error:
        return _failed(UNAUTHORIZED, str(error)), None
    except CodecError as error:
        return _failed(DECODE, str(error)), None
    if found is None:
        return {"statusCode": Int(204), "statusDescription": "No Content"}, None
    return {"statusCode": Int(200), "statusDescription": "OK"}, found


def _failed(condition: str, text: str) -> dict[str, Any]:
    return {
        "statusCode": Int(_STATUS.get(condition, 400)),
        "statusDescription": text,
        "errorCondition": Symbol(condition),
    }


def _timestamp(seconds: float) -> Timestamp:
    return Timestamp(round(seconds * 1000))


# --- messages ---


def _renew(request: Request) -> Any:
    ends = request.broker.renew(request.tokens(), path=request.entity)
    return {"expirations": Array([_timestamp(end) for end in ends])}


def _settle(request: Request) -> Any:
    outcome = _outcome(request)
    for token in request.tokens():
        request.broker.settle(token, outcome, path=request.entity)
    return {}


def _outcome(request: Request) -> Outcome:
    status = request.need("disposition-status", str)
    given = request.body.get("properties-to-modify")
    properties = {str(name): value for name, value in given.items()} if isinstance(given, dict) and given else None
    if status == "completed":
        return Complete()
    if status == "abandoned":
        return Abandon(properties)
    if status == "defered":  # the service's own spelling
        return Defer(properties)
    if status == "suspended":
        reason, text = request.body.get("deadletter-reason"), request.body.get("deadletter-description")
        return DeadLetter(None if reason is None else str(reason), None if text is None else str(text), properties)
    raise BrokerError(
        Condition.ARGUMENT, f"disposition-status is completed, abandoned, defered or suspended, got {status!r}"
    )


def _peek(request: Request) -> Any:
    start, count = request.need("from-sequence-number", int), request.need("message-count", int)
    if count < 1:
        raise BrokerError(Condition.ARGUMENT_RANGE, f"message-count is at least 1, got {count}")
    found: list[dict[str, bytes]] = []
    size = 0
    for message in request.broker.peek(request.entity, int(start), int(count), request.session):
        raw = envelopes.delivery(message, peeked=True)
        size += len(raw)
        if found and size > MOST_BYTES:
            break
        found.append({"message": raw})
    return {"messages": found} if found else None


def _receive(request: Request) -> Any:
    deletes = request.body.get("receiver-settle-mode") == 0  # first: receive-and-delete
    mode = "receive_and_delete" if deletes else "peek_lock"
    found = []
    for delivery in request.broker.receive_deferred(request.entity, request.sequences(), mode, request.session):  # type: ignore[arg-type]
        raw = envelopes.delivery(delivery.message, delivery.locked_until, token=delivery.lock_token)
        one: dict[str, Any] = {"message": raw}
        if delivery.lock_token is not None:
            one["lock-token"] = delivery.lock_token
        found.append(one)
    return {"messages": found}


def _schedule(request: Request) -> Any:
    sent: list[Envelope] = []
    for one in request.need("messages", list):
        raw = one.get("message") if isinstance(one, dict) else None
        if not isinstance(raw, bytes):
            raise BrokerError(Condition.ARGUMENT, "messages is a list of maps, each with its message as binary")
        sent.append(envelopes.envelope(raw))
    times = [one.scheduled for one in sent]
    if not sent or None in times:
        raise BrokerError(Condition.ARGUMENT, "each message needs x-opt-scheduled-enqueue-time among its annotations")
    return {"sequence-numbers": Array(request.broker.schedule(request.entity, sent, [at or 0.0 for at in times]))}


def _cancel(request: Request) -> Any:
    request.broker.cancel(request.entity, request.sequences())
    return {}


def _delete(request: Request) -> Any:
    count = request.need("message-count", int)
    before = request.need("enqueued-time-utc", int)
    return {"message-count": Int(request.broker.delete_batch(request.entity, int(count), before / 1000))}


# --- sessions ---


def _renew_session(request: Request) -> Any:
    return {"expiration": _timestamp(request.broker.renew_session(request.entity, request.need("session-id", str)))}


def _get_state(request: Request) -> Any:
    return {"session-state": request.broker.get_session_state(request.entity, request.need("session-id", str))}


def _set_state(request: Request) -> Any:
    state = request.body.get("session-state")
    if state is not None and not isinstance(state, bytes):
        raise BrokerError(Condition.ARGUMENT, f"session-state must be binary or null, got {type(state).__name__}")
    request.broker.set_session_state(request.entity, request.need("session-id", str), state)
    return {}


EVER_MS = 253402300799999
"""Last millisecond of the year 9999: .NET's DateTime.MaxValue and above ask for all sessions with messages or state."""


def _sessions(request: Request) -> Any:
    since = request.need("last-updated-time", int)
    skip, top = request.need("skip", int), request.need("top", int)
    # .NET's rounding makes it 253402300800000; the SDK's largest real time is one millisecond less.
    when = None if since > EVER_MS else since / 1000
    found = request.broker.list_sessions(request.entity, when, int(skip), int(top))
    return {"skip": Int(skip + len(found)), "sessions-ids": Array(found)} if found else None


# --- rules ---


def _add_rule(request: Request) -> Any:
    name = request.need("rule-name", str)
    request.broker.add_rule(request.entity, rules.read(name, request.need("rule-description", dict)))
    return {}


def _remove_rule(request: Request) -> Any:
    request.broker.remove_rule(request.entity, request.need("rule-name", str))
    return {}


def _rules(request: Request) -> Any:
    skip, top = request.body.get("skip", 0), request.body.get("top", 100)
    if not isinstance(skip, int) or not isinstance(top, int):
        raise BrokerError(Condition.ARGUMENT, "skip and top are numbers")
    found = [
        {"rule-description": rules.write(rule)} for rule in request.broker.rules(request.entity, int(skip), int(top))
    ]
    return {"rules": found} if found else None


OPERATIONS: dict[str, tuple[Verb, Callable[[Request], Any]]] = {
    "renew-lock": ("listen", _renew),
    "update-disposition": ("listen", _settle),
    "peek-message": ("listen", _peek),
    "receive-by-sequence-number": ("listen", _receive),
    "batch-delete-messages": ("listen", _delete),
    "schedule-message": ("send", _schedule),
    "cancel-scheduled-message": ("send", _cancel),
    "renew-session-lock": ("listen", _renew_session),
    "get-session-state": ("listen", _get_state),
    "set-session-state": ("listen", _set_state),
    "get-message-sessions": ("listen", _sessions),
    "add-rule": ("listen", _add_rule),
    "remove-rule": ("listen", _remove_rule),
    "enumerate-rules": ("listen", _rules),
}
