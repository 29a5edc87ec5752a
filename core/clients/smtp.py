"""Mail over SMTP with STARTTLS. It cannot promise "once": SMTP knows no idempotency key.

When the connection ends between the message and the server's word, nobody knows whether it was taken; a second try may
bring it twice. Both then have the same Message-ID, made of the key, by which many mailboxes drop the second.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, parseaddr

from core.clients.faults import Denied, Fault, InDoubt, Refused, Transient
from core.clients.mail import Mail, check

TIMEOUT_S = 30.0


class Smtp:
    """One server and account. Each mail has a connection of its own. Thread-safe."""

    once = False
    """A mail whose answer is lost may arrive twice."""

    def __init__(
        self, *, host: str, port: int = 587, user: str, password: str, sender: str, ca_file: str | None = None
    ) -> None:
        self._host, self._port, self._user, self._password = host, port, user, password
        self._sender = sender
        self._context = ssl.create_default_context(cafile=ca_file)

    def send(self, mail: Mail, *, idempotency_key: str) -> str:
        """Answers the Message-ID. Raises Transient, InDoubt (it may have been sent), Refused or Denied."""
        check(mail)
        message = self._message(mail, idempotency_key)
        try:
            server = self._connected()
        except (smtplib.SMTPException, OSError) as error:
            raise self._fault(error, sent=False) from error
        try:
            refused = server.send_message(message, parseaddr(self._sender)[1], list(mail.to))
        except (smtplib.SMTPException, OSError) as error:
            server.close()
            raise self._fault(error, sent=True) from error
        with suppress(smtplib.SMTPException, OSError):  # it is taken: a bad good-bye must not send it again
            server.quit()
        server.close()
        if refused:
            raise Refused(f"mail: {self._host} took it for some, and not for {', '.join(sorted(refused))}")
        return str(message["Message-ID"])

    def _connected(self) -> smtplib.SMTP:
        """Over TLS, and logged in."""
        server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_S)
        try:
            server.starttls(context=self._context)
            server.login(self._user, self._password)
        except BaseException:
            server.close()
            raise
        return server

    def _message(self, mail: Mail, key: str) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, ", ".join(mail.to), mail.subject
        message["Date"] = formatdate(usegmt=True)
        domain = parseaddr(self._sender)[1].rpartition("@")[2] or "localhost"
        message["Message-ID"] = f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        for one in mail.attachments:
            kind, _, subkind = one.content_type.partition("/")
            message.add_attachment(one.content, maintype=kind, subtype=subkind or "octet-stream", filename=one.filename)
        return message

    def _fault(self, error: Exception, *, sent: bool) -> Fault:
        text = f"mail: {self._host}:{self._port}: {type(error).__name__}: {error}"
        text = text.replace(self._password, "***") if self._password else text
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return Denied(text)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Refused(f"{text}; the server must offer STARTTLS and AUTH")
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            lasting = any(code >= 500 for code, _ in error.recipients.values())
            return (Refused if lasting else Transient)(text)
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code > 0:
            return (Refused if error.smtp_code >= 500 else Transient)(text)
        if isinstance(error, ssl.SSLCertVerificationError):
            return Refused(text)
        return (InDoubt if sent else Transient)(text)
