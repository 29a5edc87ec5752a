"""SMTP with STARTTLS against a server that does as it is told."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

import pytest

from core.clients.faults import Denied, Fault, InDoubt, Refused, Transient
from core.clients.mail import Attachment, Mail
from core.clients.smtp import Smtp
from localcloud.emulators.ca import CertificateAuthority

MAIL = Mail(to=("a@example.com", "b@example.com"), subject="Größe", html="<b>x</b>", text="x",
            attachments=(Attachment("a.csv", b"1;2", "text/csv"),))  # fmt: skip
PASSWORD = "hushhush"


class Server:
    """One conversation at a time; `wrong` is what goes wrong."""

    def __init__(self, context: ssl.SSLContext, wrong: str = "") -> None:
        self._context, self._wrong = context, wrong
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.said: list[str] = []
        self.encrypted: list[bool] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError, ssl.SSLError):
                self._talk(line)

    def _talk(self, line: socket.socket) -> None:
        """Until STARTTLS in the clear, then over TLS."""
        with line, line.makefile("rb") as file:
            line.sendall(b"220 test\r\n")
            if not self._answer(line, file, secure=False):
                return
            with self._context.wrap_socket(line, server_side=True) as safe, safe.makefile("rb") as more:
                self._answer(safe, more, secure=True)

    def _answer(self, line: socket.socket, file: BufferedReader, *, secure: bool) -> bool:
        """True when TLS shall begin."""
        while command := file.readline().decode().rstrip("\r\n"):
            self.said.append(command)
            self.encrypted.append(secure)
            verb = command.split(" ")[0].upper()
            if verb == "DATA":
                line.sendall(b"354 go on\r\n")
                self.said += [text.decode().rstrip() for text in iter(file.readline, b".\r\n")]
                if self._wrong == "silent":
                    return False
            line.sendall(f"{self._reply(verb, command, secure=secure)}\r\n".encode())
            if verb in {"STARTTLS", "QUIT"}:
                return verb == "STARTTLS"
        return False

    def _reply(self, verb: str, command: str, *, secure: bool) -> str:
        if verb == "EHLO":
            offers = "AUTH PLAIN" if secure else "8BITMIME" if self._wrong == "no tls" else "STARTTLS"
            return f"250-test\r\n250 {offers}"
        if verb == "AUTH":
            right = base64.b64decode(command.split(" ")[2]) == f"\0me\0{PASSWORD}".encode()
            return "235 ok" if right else "535 bad credentials wrong"
        if verb == "QUIT":
            return "250 odd" if self._wrong == "odd good-bye" else "221 bye"
        told = {"RCPT": {"busy": "451 later", "nobody": "550 nobody"}, "DATA": {"full": "452 full"}}
        return told.get(verb, {}).get(self._wrong, "220 go on" if verb == "STARTTLS" else "250 ok")

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made: list[Server] = []
    yield made
    for one in made:
        one.close()


def _send(authority: CertificateAuthority, servers: list[Server], wrong: str = "", password: str = PASSWORD) -> str:
    servers.append(Server(authority.server_context(), wrong))
    smtp = Smtp(host="localhost", port=servers[-1].port, user="me", password=password, sender="Mill <m@example.com>",
                ca_file=str(authority.ca_file))  # fmt: skip
    return smtp.send(MAIL, idempotency_key="run-1")


def test_a_mail_is_sent_encrypted(authority: CertificateAuthority, servers: list[Server]) -> None:
    first, second = _send(authority, servers), _send(authority, servers)
    assert first == second, "the same key gives the same Message-ID"
    said = servers[0].said
    assert said[1] == "STARTTLS"
    assert f"Message-ID: {first}" in said
    assert [one for one in said if one.upper().startswith(("MAIL", "RCPT"))] == [
        "mail FROM:<m@example.com>", "rcpt TO:<a@example.com>", "rcpt TO:<b@example.com>"]  # fmt: skip
    assert not any(PASSWORD in one for one in said)
    assert all(secure for one, secure in zip(said, servers[0].encrypted, strict=False) if one.startswith("AUTH"))


@pytest.mark.parametrize(
    ("wrong", "password", "kind"),
    [
        ("no tls", PASSWORD, Refused),
        ("", "wrong", Denied),
        ("busy", PASSWORD, Transient),
        ("nobody", PASSWORD, Refused),
        ("full", PASSWORD, Transient),
        ("silent", PASSWORD, InDoubt),
    ],
)
def test_what_goes_wrong(
    authority: CertificateAuthority, servers: list[Server], wrong: str, password: str, kind: type[Fault]
) -> None:
    with pytest.raises(Fault, match="mail: localhost:") as caught:
        _send(authority, servers, wrong, password)
    assert type(caught.value) is kind
    assert password not in str(caught.value)
    if wrong == "no tls":
        assert not any(one.startswith(("AUTH", "mail", "DATA")) for one in servers[0].said)


def test_a_bad_good_bye_does_not_make_a_sent_mail_unsent(
    authority: CertificateAuthority, servers: list[Server]
) -> None:
    assert _send(authority, servers, "odd good-bye").startswith("<")


def test_a_server_that_is_not_trusted_gets_nothing(
    authority: CertificateAuthority, servers: list[Server], tmp_path: Path
) -> None:
    servers.append(Server(authority.server_context()))
    other = CertificateAuthority(tmp_path)
    smtp = Smtp(host="localhost", port=servers[0].port, user="me", password=PASSWORD, sender="m@example.com",
                ca_file=str(other.ca_file))  # fmt: skip
    with pytest.raises(Refused, match="certificate"):
        smtp.send(MAIL, idempotency_key="k")
    assert servers[0].said[-1] == "STARTTLS"


def test_nobody_there(servers: list[Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    smtp = Smtp(host="127.0.0.1", port=port, user="me", password=PASSWORD, sender="m@example.com")
    with pytest.raises(Transient):
        smtp.send(MAIL, idempotency_key="k")
