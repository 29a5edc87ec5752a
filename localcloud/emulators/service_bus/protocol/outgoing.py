"""Links on which a peer receives messages: deliveries, locks, settlement, sessions."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from localcloud.emulators.service_bus.broker.interface import Entity, Receiver
from localcloud.emulators.service_bus.broker.model import (
    ANY,
    Abandon,
    BrokerError,
    Complete,
    DeadLetter,
    Defer,
    Delivery,
    Outcome,
    Release,
)
from localcloud.emulators.service_bus.codec import frames
from localcloud.emulators.service_bus.codec.deliveries import ACCEPTED_STATE
from localcloud.emulators.service_bus.codec.types import Described, Symbol
from localcloud.emulators.service_bus.codec.writing import encoded
from localcloud.emulators.service_bus.protocol import envelopes
from localcloud.emulators.service_bus.protocol.errors import Condition, LinkError
from localcloud.emulators.service_bus.protocol.incoming import ACCEPTED, still_allowed
from localcloud.emulators.service_bus.protocol.links import Sending

if TYPE_CHECKING:
    from localcloud.emulators.service_bus.protocol.session import Session

SESSION_FILTER = "com.microsoft:session-filter"
LOCKED_UNTIL = Symbol("com.microsoft:locked-until-utc")
TICKS_TO_1970 = 621355968000000000
"""100 ns steps from year 1, .NET's time."""
DEFAULT_WAIT_S = 60.0
SLICE = 100
"""Deliveries to one link in a row, then others have their turn."""
_COMPLETE = Complete()
_REASON, _DESCRIPTION = "DeadLetterReason", "DeadLetterErrorDescription"


class Deliveries(Sending):
    """A consumer's link. Attached once the broker has its receiver, which for a session may take a while."""

    def __init__(self, session: "Session", handle: int, attach: list[Any], entity: Entity, until: float) -> None:
        super().__init__(session, handle, attach)
        self.entity = entity
        self._until = until
        self._clock = session.connection.settings.clock
        self._deletes = attach[3] == 1  # snd-settle-mode settled: Service Bus' receive-and-delete
        self._receiver: Receiver | None = None
        self._slice = 0
        self._task = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        properties = self.attach[13] if isinstance(self.attach[13], dict) else {}
        wait_ms = properties.get("com.microsoft:timeout")
        wanted = session_filter(self.attach[5])
        try:
            self._receiver = await self.session.broker.receiver(
                self.entity,
                mode="receive_and_delete" if self._deletes else "peek_lock",
                on_delivery=self._deliver,
                on_end=self._end,
                session=wanted if wanted is not None or not has_session_filter(self.attach[5]) else ANY,
                identifier=str(properties.get("com.microsoft:receiver-name") or ""),
                wait_s=wait_ms / 1000 if isinstance(wait_ms, int) else DEFAULT_WAIT_S,
            )
        except BrokerError as error:
            self.session.refuse(self.handle, self.attach, LinkError(error.condition, error.text))
            return
        self._attached(self._receiver)

    def _attached(self, receiver: Receiver) -> None:
        source, found = self.attach[5], None
        if receiver.session_id is not None:
            source = with_session(source, receiver.session_id)
            if (until := receiver.session_locked_until) is not None:
                found = {LOCKED_UNTIL: round(until * 10_000_000) + TICKS_TO_1970}
        self.write_attach(largest=self.entity.max_message_size, source=source, properties=found)
        self.credit_again()

    def gone(self) -> None:
        """Ends the broker's receiver; locks of messages run on, a session's lock does not."""
        self._task.cancel()
        if self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            receiver.close()
        self.session.forget(self)

    def _end(self, error: BrokerError) -> None:
        self._receiver = None
        asyncio.get_running_loop().call_soon(self._detach, LinkError(error.condition, error.text))

    def _detach(self, error: LinkError) -> None:
        if self.session.links.get(self.handle) is self:
            self.session.detach(self, error)

    def credit_again(self) -> None:
        """As the peer's credit, a slice at a time, while there is room on the way to it."""
        if self._receiver is not None:
            self._slice = min(self.credit, SLICE) if self.session.may_send else 0
            self._receiver.credit(self._slice)

    def drain(self) -> None:
        """Deliver what there is; the rest of the credit is void."""
        if self._receiver is not None and self.session.may_send:
            self._receiver.credit(self.credit)
            self._receiver.credit(0)
        self.spend(self.credit)

    def _deliver(self, delivery: Delivery) -> None:
        token = delivery.lock_token
        session = self.session
        if self._clock() > self._until and not self._renewed():
            if token is not None:
                asyncio.get_running_loop().call_soon(self._give_back, token)
            return
        self.spend(1)
        tag = token.bytes_le if token is not None else delivery.message.sequence.to_bytes(16, "little")
        payload = envelopes.delivery(delivery.message, delivery.locked_until)
        number = session.send(self, tag, payload, settled=self._deletes)
        if token is not None:
            session.deliveries[number] = (self, token)
        self._slice -= 1
        if not session.may_send:  # goes on with the peer's next flow, or when its socket takes more
            if self._receiver is not None:
                self._receiver.credit(0)
        elif not self._slice and self.credit:
            asyncio.get_running_loop().call_soon(self.credit_again)

    def _renewed(self) -> bool:
        try:
            self._until = still_allowed(self.session, self.entity, "listen")
        except LinkError as error:
            asyncio.get_running_loop().call_soon(self._detach, error)
            return False
        return True

    def _give_back(self, token: uuid.UUID) -> None:
        self.session.broker.settle(token, Release())

    def settle(self, token: uuid.UUID, state: Any, *, settled: bool) -> bytes | None:
        """Apply the peer's outcome; the encoded outcome to answer with, None while there is none."""
        outcome: Outcome | None
        if state is ACCEPTED_STATE:
            code, outcome = frames.ACCEPTED, _COMPLETE
        else:
            code, fields = frames.described(state)
            if code == frames.RECEIVED or (state is None and not settled):
                return None
            outcome = outcome_of(code, fields) if state is not None else Release()
        if outcome is None:
            text = "a delivery is settled as accepted, rejected, released or modified; transactions are not supported"
            return frames.encoded_error(Condition.NOT_IMPLEMENTED, text)
        try:
            self.session.broker.settle(token, outcome, path=self.entity)
        except BrokerError as error:
            return frames.encoded_error(error.condition, error.text)
        return _ECHO.get(code, ACCEPTED)


# A settlement is answered by its own outcome. Clients take a rejected with an error for a settlement that failed, so
# that of a dead-letter goes back without.
_ECHO = {
    frames.ACCEPTED: ACCEPTED,
    **{code: encoded(frames.composite(code, [])) for code in (frames.REJECTED, frames.RELEASED, frames.MODIFIED)},
}


def outcome_of(code: int, fields: list[Any]) -> Outcome | None:
    """Service Bus' meaning of AMQP's outcomes (documented in its protocol guide): rejected is dead-letter, modified is
    abandon, modified with undeliverable-here is defer.
    """
    if code == frames.ACCEPTED:
        return _COMPLETE
    if code == frames.RELEASED:
        return Release()
    if code == frames.REJECTED:
        return _dead_letter(fields)
    if code == frames.MODIFIED:
        _, undeliverable, changed = (fields + [None] * 3)[:3]
        properties = _properties(changed)
        return Defer(properties) if undeliverable is True else Abandon(properties)
    return None


def _dead_letter(fields: list[Any]) -> DeadLetter:
    _, error = frames.described(fields[0] if fields else None)
    _, description, info = (error + [None] * 3)[:3]
    given = _properties(info) or {}
    reason = given.pop(_REASON, None)
    text = given.pop(_DESCRIPTION, description)
    return DeadLetter(_string(reason), _string(text), given or None)


def _properties(found: Any) -> dict[str, Any] | None:
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) and found else None


def _string(value: Any) -> str | None:
    return None if value is None else str(value)


def has_session_filter(source: Any) -> bool:
    """Does the peer want a session, named or not?"""
    return SESSION_FILTER in _filters(source)


def session_filter(source: Any) -> str | None:
    """The session that the peer names."""
    wanted = _filters(source).get(SESSION_FILTER)
    if isinstance(wanted, Described):
        wanted = wanted.value
    if wanted is not None and not isinstance(wanted, str):
        raise LinkError(Condition.INVALID_FIELD, f"{SESSION_FILTER} is a string or null, got {type(wanted).__name__}")
    return wanted


def _filters(source: Any) -> dict[Any, Any]:
    fields = frames.described(source)[1]
    return fields[7] if len(fields) > 7 and isinstance(fields[7], dict) else {}


def with_session(source: Any, session_id: str) -> Described:
    """The source as it is in force: the filter names the session that was got."""
    fields = frames.described(source)[1] + [None] * 11
    fields[7] = {**_filters(source), Symbol(SESSION_FILTER): session_id}
    return frames.composite(frames.SOURCE, fields[:11])
