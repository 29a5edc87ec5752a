"""The mails that were taken: one `.eml` each, which is all there is. A folder listing is the index."""

import datetime as dt
import email.policy
import hashlib
import re
import uuid
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path

import msgspec

from localcloud.outside.mail.payload import Payload

KEY_S = 24 * 3600
"""How long an idempotency key is remembered (documented)."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_POLICY = email.policy.SMTP


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One mail, as the list shows it."""

    id: str
    at: float
    """Seconds since 1970."""
    sender: str
    to: list[str]
    subject: str
    key: str = ""
    """Its idempotency key."""
    digest: str
    """Of the request's JSON."""
    file: str


class Store:
    """Under `folder`, safe against being killed: a mail is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._known: dict[str, Kept] = {}

    def all(self) -> list[Kept]:
        """Every mail whose file is there, oldest first."""
        names = {file.name for file in self.folder.glob("[!.]*.eml")}
        for name in self._known.keys() - names:
            del self._known[name]
        for name in names - self._known.keys():
            kept = self._read(name)
            if kept is not None:
                self._known[name] = kept
        return sorted(self._known.values(), key=lambda one: (one.at, one.id))

    def of_key(self, key: str, now: float) -> Kept | None:
        """The last mail under this idempotency key, if it is remembered still."""
        found = [one for one in self.all() if one.key == key and now - one.at < KEY_S]
        return found[-1] if found else None

    def get(self, mail_id: str) -> Kept | None:
        """By its id."""
        return next((one for one in self.all() if one.id == mail_id), None)

    def message(self, kept: Kept) -> EmailMessage:
        """The whole mail."""
        message = BytesParser(policy=_POLICY).parsebytes((self.folder / kept.file).read_bytes())
        assert isinstance(message, EmailMessage)  # noqa: S101 -- the policy makes them
        return message

    def put(self, payload: Payload, *, key: str, digest: str, now: float) -> Kept:
        """Writes it. Under a key the id is made of it: what was written before a kill is written again, not twice."""
        uses = sum(one.key == key for one in self.all()) if key else 0
        seed = hashlib.sha256(f"{key}\n{digest}\n{uses}".encode()).hexdigest()
        mail_id = str(uuid.uuid5(uuid.NAMESPACE_URL, seed) if key else uuid.uuid4())
        message = _message(payload, mail_id, now)
        for name, value in {"Id": mail_id, "Key": key, "Digest": digest, "At": repr(now)}.items():
            message[f"X-Sink-{name}"] = value
        moment = dt.datetime.fromtimestamp(now, dt.UTC)
        name = f"{moment:%Y%m%dT%H%M%SZ}-{mail_id}.eml"
        beside = self.folder / f".{name}"
        beside.write_bytes(message.as_bytes(policy=_POLICY))
        beside.replace(self.folder / name)
        kept = self._read(name)
        assert kept is not None  # noqa: S101 -- just written
        return kept

    def _read(self, name: str) -> Kept | None:
        with (self.folder / name).open("rb") as file:
            head = BytesHeaderParser(policy=_POLICY).parse(file)
        mail_id = str(head.get("X-Sink-Id", ""))
        try:
            at = float(head.get("X-Sink-At", ""))
        except ValueError:
            return None  # not ours
        if not _ID.fullmatch(mail_id):
            return None
        return Kept(
            id=mail_id,
            at=at,
            sender=str(head["From"]),
            to=[str(one) for one in head["To"].addresses] if head["To"] else [],
            subject=str(head["Subject"]),
            key=str(head.get("X-Sink-Key", "")).strip(),  # a long one is folded
            digest=str(head.get("X-Sink-Digest", "")).strip(),
            file=name,
        )


def _message(payload: Payload, mail_id: str, now: float) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    message["From"], message["To"], message["Subject"] = payload.sender, ", ".join(payload.to), payload.subject
    for name, values in {"Cc": payload.cc, "Bcc": payload.bcc, "Reply-To": payload.reply_to}.items():
        if values:
            message[name] = ", ".join(values)
    message["Date"] = email.utils.format_datetime(dt.datetime.fromtimestamp(now, dt.UTC))
    message["Message-ID"] = f"<{mail_id}@sink.invalid>"
    if payload.text is not None:
        message.set_content(payload.text)
    if payload.html is not None:
        add = message.set_content if payload.text is None else message.add_alternative
        add(payload.html, subtype="html")
    for one in payload.attachments:
        kind, _, subkind = one.content_type.partition("/")
        message.add_attachment(one.content, maintype=kind, subtype=subkind, filename=one.filename)
    return message
