"""What Resend takes as a mail, and how it says what is wrong with one."""

import base64
import binascii
import re
from typing import Any

import msgspec
from aiohttp import web

MAX_RECIPIENTS = 50
_ADDRESS = re.compile(r"(?:[^<>@\r\n]*<)?[^<>@\s,;]+@[^<>@\s,;.]+(?:\.[^<>@\s,;.]+)+>?")
_CONTENT_TYPE = re.compile(r"[a-z]+/[a-zA-Z0-9.+-]+")
_FORM = "The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."


class No(Exception):  # noqa: N818 - an answer
    """A refusal: status, name, message."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status, self.name, self.message = status, name, message


def refusal(status: int, name: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """Resend's error body."""
    body = {"statusCode": status, "message": message, "name": name}
    return web.json_response(body, status=status, headers=headers)


class File(msgspec.Struct, frozen=True):
    """An attachment."""

    filename: str
    content: bytes
    content_type: str


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that can be sent."""

    sender: str
    to: list[str]
    subject: str
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    html: str | None
    text: str | None
    attachments: list[File]


def payload_of(body: Any) -> Payload:
    """Checks the request's JSON. Raises No as Resend would."""
    if not isinstance(body, dict):
        raise No(422, "validation_error", "The request body must be a JSON object.")
    for field in ("from", "to", "subject"):
        if body.get(field) in (None, "", []):
            raise No(422, "missing_required_field", f"Missing `{field}` field.")
    html, text = (_text(body, field) for field in ("html", "text"))
    if html is None and text is None:
        raise No(422, "missing_required_field", "Missing `html` or `text` field.")
    (sender,) = _addresses(body, "from", most=1)
    subject = _text(body, "subject") or ""
    if "\n" in subject or "\r" in subject:
        raise No(422, "validation_error", "The `\\n` is not allowed in the `subject` field.")
    return Payload(
        sender=sender, subject=subject, html=html, text=text,
        to=_addresses(body, "to"), cc=_addresses(body, "cc"), bcc=_addresses(body, "bcc"),
        reply_to=_addresses(body, "reply_to"), attachments=_files(body.get("attachments") or []),
    )  # fmt: skip


def _text(body: dict[str, Any], field: str) -> str | None:
    value = body.get(field)
    if value is not None and not isinstance(value, str):
        raise No(422, "validation_error", f"The `{field}` field must be a `string`.")
    return value


def _addresses(body: dict[str, Any], field: str, most: int = MAX_RECIPIENTS) -> list[str]:
    value = body.get(field) or []
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise No(422, "validation_error", f"The `{field}` field must be a `string` or a list of them.")
    if len(values) > most:
        raise No(422, "validation_error", f"The `{field}` field must have at most {most} addresses.")
    for one in values:
        if not _ADDRESS.fullmatch(one) or ("<" in one) != one.endswith(">"):
            raise No(422, "validation_error", f"Invalid `{field}` field. {_FORM}")
    return values


def _files(values: Any) -> list[File]:
    if not isinstance(values, list):
        raise No(422, "invalid_attachment", "The `attachments` field must be a list.")
    return [_file(value) for value in values]


def _file(value: Any) -> File:
    filename = value.get("filename") if isinstance(value, dict) else None
    if not isinstance(filename, str) or not filename.strip() or "\n" in filename or "\r" in filename:
        raise No(422, "invalid_attachment", "Attachment must have a `filename`.")
    if not isinstance(value.get("content"), str):
        raise No(422, "invalid_attachment", f"Attachment {filename} must have `content` here; a `path` is not fetched.")
    try:
        content = base64.b64decode(value["content"], validate=True)
    except binascii.Error as error:
        raise No(422, "invalid_attachment", f"Attachment {filename} must be base64.") from error
    kind = value.get("content_type") or "application/octet-stream"
    if not isinstance(kind, str) or not _CONTENT_TYPE.fullmatch(kind):
        raise No(422, "invalid_attachment", f"Attachment {filename} must have a `content_type` such as text/csv.")
    return File(filename, content, kind)
