"""Mail through a provider: Resend's HTTP API, or any SMTP server.

https://resend.com/docs/api-reference/emails/send-email: `POST /emails`, bearer key, at most 50 recipients and 40 MB,
attachments as base64; `Idempotency-Key` (1 to 256 characters, kept 24 hours) makes a repeated request answer what the
first did, without a second mail; the same key with another payload is 409 `invalid_idempotent_request`. Errors are
`{"statusCode", "name", "message"}`; a wrong key is 400, 401 or 403, by the time of the documentation.
"""

from __future__ import annotations

import base64
import re

import msgspec

from core.clients.faults import Denied, Fault, InDoubt, Refused, Transient
from core.clients.http import Answer, Http

MAX_RECIPIENTS = 50
MAX_BYTES = 40_000_000
"""Of a mail with its attachments in base64."""
MAX_KEY = 256
_LINE = re.compile(r"[^\r\n\0]*")


class Attachment(msgspec.Struct, frozen=True):
    """A file that goes with a mail."""

    filename: str
    content: bytes
    content_type: str = "application/octet-stream"


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One message, the same for all its recipients."""

    to: tuple[str, ...]
    subject: str
    html: str
    text: str
    attachments: tuple[Attachment, ...] = ()


class Resend:
    """One account and sender. Thread-safe."""

    def __init__(self, http: Http, *, url: str, key: str, sender: str) -> None:
        """`sender`: `Name <address>` of a domain that the account has verified."""
        self._http = http
        self._url = f"{url.rstrip('/')}/emails"
        self._key = key
        self._sender = sender

    def send(self, mail: Mail, *, idempotency_key: str) -> str:
        """Sends it once however often it is called with this key within 24 hours; answers the provider's id.

        The mail must be the same each time. Raises Transient or InDoubt (call again), Refused or Denied.
        """
        if not 1 <= len(idempotency_key) <= MAX_KEY or not idempotency_key.isascii():
            raise Refused(f"mail: idempotency_key must be 1 to {MAX_KEY} ASCII characters, got {idempotency_key!r}")
        check(mail)
        body = self._body(mail)
        if len(body) > MAX_BYTES:
            raise Refused(f"mail: must have at most {MAX_BYTES} bytes with its attachments, got {len(body)}")
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key,
        }
        answer = self._http.call("POST", self._url, headers=headers, body=body)
        if answer.status != 200:
            raise self._fault(answer)
        try:
            return msgspec.json.decode(answer.body, type=_Sent).id
        except msgspec.MsgspecError as error:
            raise InDoubt(f"mail: the provider's answer must have an id: {error}") from error

    def _body(self, mail: Mail) -> bytes:
        attachments = [
            {
                "filename": one.filename,
                "content": base64.b64encode(one.content).decode(),
                "content_type": one.content_type,
            }
            for one in mail.attachments
        ]
        return msgspec.json.encode(
            {"from": self._sender, "to": mail.to, "subject": mail.subject, "html": mail.html, "text": mail.text}
            | ({"attachments": attachments} if attachments else {})
        )

    def _fault(self, answer: Answer) -> Fault:
        try:
            error = msgspec.json.decode(answer.body, type=_Error)
        except msgspec.MsgspecError:
            error = _Error("", answer.body[:200].decode("utf-8", "replace"))
        text = f"mail: {answer.status} {error.name} {error.message}".replace(self._key, "***").strip()
        if answer.status in {401, 403} or (answer.status == 400 and "API key" in error.message):
            return Denied(text)
        if error.name == "concurrent_idempotent_requests" or answer.status in {408, 429}:
            return Transient(text)
        if answer.status >= 500:
            return (InDoubt if answer.unanswered else Transient)(text)
        return Refused(text)


class _Sent(msgspec.Struct):
    id: str


class _Error(msgspec.Struct):
    name: str = ""
    message: str = ""


def check(mail: Mail) -> None:
    """Raises Refused for what no provider takes."""
    if not 1 <= len(mail.to) <= MAX_RECIPIENTS:
        raise Refused(f"mail: must have 1 to {MAX_RECIPIENTS} recipients, got {len(mail.to)}")
    for text in (mail.subject, *mail.to, *(one.filename for one in mail.attachments)):
        if not text.strip() or _LINE.fullmatch(text) is None:
            raise Refused(f"mail: subject, recipients and file names must be one line of text, got {text[:80]!r}")
