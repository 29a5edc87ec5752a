"""Garbage at every door, of nobody and of somebody who may do all: refused, never an accident."""

import random
import socket
import ssl
import string
from typing import Any
from urllib.parse import urlsplit

from components.roles import ROLES
from tests.integration.emulators.local import GROUP, SECRETS_OFFICER, Local
from tests.integration.emulators.security.azure import AUDIENCES, Azure
from tests.integration.emulators.security.wire import Wire


def _garbage(seed: int) -> Any:
    rng = random.Random(seed)
    methods = ["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "MERGE", "TRACE"]
    bits = [
        "stsecurity",
        "secrets",
        "dataCollectionRules",
        "messages",
        "..",
        "%00",
        "%ff",
        "%",
        "%%",
        "a" * 300,
        "",
        "~",
    ]
    bits += ["?comp=list", "?restype=container", "?list-type=2&max-keys=\u0661", "?versionId=x", "?uploads", "?delete"]
    bits += [
        "?uploadId=1&partNumber=²",
        "?X-Amz-Signature=1",
        "?Action=AssumeRoleWithWebIdentity",
        "?api-version=1",
        "?",
    ]
    target = "/" + "/".join(rng.choice(bits) for _ in range(rng.randint(0, 4)))
    values = [
        "",
        "x",
        "0",
        "-1",
        "9" * 40,
        "\xff\xfe",
        "=" * 50,
        "Bearer ",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e",
        "[" * 900,
    ]
    names = [
        "Authorization",
        "Range",
        "If-Modified-Since",
        "X-Amz-Target",
        "X-Amz-Date",
        "x-amz-content-sha256",
        "Cookie",
    ]
    names += ["X-Amz-Security-Token", "x-ms-date", "Content-MD5", "Content-Encoding", "x-amz-copy-source", "Expect-CT"]
    headers = [(rng.choice(names), rng.choice(values)) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.3:
        operation = rng.choice(["SendMessage", "ReceiveMessage", "ListQueues", "DeleteMessageBatch", "Nothing"])
        headers.append(("X-Amz-Target", f"AmazonSQS.{operation}"))
    bodies = [b"", b"{", b"[" * 5000, b'{"QueueUrl": 5}', b"\xff\xfe\x00", b"<a>", b"Action=GetCallerIdentity", b"null"]
    bodies.append(b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>')
    return rng.choice(methods), target.encode("utf-8").decode("latin-1"), headers, rng.choice(bodies)


def test_garbage_is_refused_never_an_accident(local: Local, azure: Azure, wire: Wire) -> None:
    """Whatever comes, unsigned: 4xx, or 501 for what is not emulated; never a 500, never a success."""
    azure.place("vault")
    doors = {name: base for name, base in local.cloud.endpoints.items() if base.startswith("http")}
    doors["identity"] = doors["identity"].removesuffix("/msi/token")
    doors["vault"] = local.cloud.vault.uris()[0].rstrip("/")
    for seed in range(250):
        method, target, headers, body = _garbage(seed)
        for name, base in doors.items():
            answer = wire.send(base, method, target, headers, body)
            assert 400 <= answer.status < 500 or answer.status == 501, (seed, name, method, target, headers, answer)
            assert b"Traceback" not in answer.body


def test_a_huge_or_broken_head_is_refused(local: Local) -> None:
    """Below HTTP's own rules: the server answers 400 or 431 and hangs up; nothing is buffered without end."""
    context = ssl.create_default_context(cafile=local.ca)
    where = urlsplit(local.cloud.endpoints["blob"])
    heads = {
        "one header of a megabyte": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * (1 << 20) + b"\r\n\r\n",
        "a line of a megabyte": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "two lengths": b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "both": b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "a space before the colon": b"GET /a HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer x\r\n\r\n",
        "a folded header": b"GET /a HTTP/1.1\r\nHost: x\r\nX-A: b\r\n Authorization: Bearer x\r\n\r\n",
        "a bare line feed": b"GET /a HTTP/1.1\nHost: x\n\n",
        "no HTTP": string.printable.encode(),
    }
    for name, head in heads.items():
        with (
            socket.create_connection((where.hostname, where.port)) as plain,
            context.wrap_socket(plain, server_hostname=where.hostname) as tls,
        ):
            tls.settimeout(10)
            try:
                tls.sendall(head)
                first = tls.recv(200)
            except (ConnectionError, ssl.SSLError):
                first = b""
        assert first == b"" or first.split()[1] in {b"400", b"401", b"414", b"431"}, (name, first)


def test_garbage_of_somebody_who_may_do_all_is_no_accident_either(local: Local, azure: Azure, wire: Wire) -> None:
    """With every role everywhere the gate lets all of it through: parsing must hold on its own. Azurite's own 500s are
    Azurite's; ours would have another body.
    """
    owner = local.identity("owner of all")
    for role in {role.id for role in ROLES.values()} | {SECRETS_OFFICER}:
        local.assign(owner, role, GROUP)
    places = {service: azure.place(service) for service in ("blob", "queue", "vault", "logs")}
    for seed in range(150):
        method, target, headers, body = _garbage(seed)
        kept = [(name, value) for name, value in headers if name != "Authorization"]
        for service, place in places.items():
            token = local.do(lambda service=service: local.cloud.identity.token(owner, AUDIENCES[service]))  # type: ignore[misc]
            rng = random.Random(seed)
            ask = rng.choice(place.asks)
            mixed = rng.choice([target, ask.target, ask.target.partition("?")[0] + target, ask.target + "&a=%ff"])
            every = [("Authorization", f"Bearer {token}"), *ask.headers, *kept]
            answer = wire.send(ask.base, rng.choice([method, ask.method]), mixed, every, body)
            ours = answer.status == 500 and service in {"vault", "logs"}
            ours |= b"Server got itself in trouble" in answer.body
            assert not ours, (seed, service, mixed, kept, body, answer)
            if ask.restore:
                ask.restore()
