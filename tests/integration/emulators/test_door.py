"""The door itself: counting, the fault hook, streaming; and the certificate authority and ports it stands on."""

import datetime as dt
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from botocore.exceptions import ClientError
from cryptography import x509

from localcloud.emulators import ca as ca_module
from localcloud.emulators.ca import CertificateAuthority
from localcloud.emulators.door import RequestInfo
from localcloud.emulators.ports import Ports
from tests.integration.emulators.local import Local


def test_calls_and_refusals_are_counted_by_operation(local: Local) -> None:
    s3, door = local.vendor("s3"), local.cloud.door
    s3.list_buckets()
    with pytest.raises(ClientError):
        local.aws("s3", "AKIAUNKNOWN", "x").list_buckets()
    assert door.calls["s3", "ListBuckets"] == 1
    assert door.refused["s3", "ListBuckets"] == 1


def test_the_fault_hook_sees_the_call_and_may_answer_it(local: Local) -> None:
    seen: list[RequestInfo] = []

    async def slow_down(info: RequestInfo) -> web.StreamResponse | None:
        seen.append(info)
        body = b"<Error><Code>SlowDown</Code><Message>x</Message></Error>"
        return web.Response(status=503, body=body) if info.operation == "HeadBucket" else None

    local.cloud.door.fault = slow_down
    try:
        local.vendor("s3").list_buckets()
        with pytest.raises(ClientError) as error:
            local.vendor("s3").head_bucket(Bucket=made(local))
    finally:
        local.cloud.door.fault = None
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert [(info.service, info.operation) for info in seen] == [("s3", "ListBuckets"), ("s3", "HeadBucket")]
    assert seen[0].caller.endswith(":root")


def made(local: Local) -> str:
    local.do(lambda: local.cloud.aws.put_bucket("some-bucket"))
    return "some-bucket"


def test_everything_listens_on_loopback_only_and_speaks_tls(local: Local) -> None:
    context = ssl.create_default_context(cafile=local.ca)
    for name, url in local.cloud.endpoints.items():
        if url.startswith("https://"):
            host, port = url.removeprefix("https://").split(":")
            for server_name in ("127.0.0.1", "localhost"):
                with (
                    socket.create_connection((host, int(port))) as plain,
                    context.wrap_socket(plain, server_hostname=server_name) as tls,
                ):
                    assert tls.version() in {"TLSv1.2", "TLSv1.3"}, name
        else:
            assert url.startswith("http://127.0.0.1:") or name == "ca_file"


def test_private_files_are_private(local: Local) -> None:
    home = Path(local.ca).parents[1]
    ours = [file for file in home.rglob("*") if file.is_file() and home / "azurite" not in file.parents]
    loose = [file for file in ours if file.name != "ca.pem" and file.stat().st_mode & 0o077]
    assert loose == []
    assert home.stat().st_mode & 0o777 == 0o700


def test_the_certificate_is_kept_and_renewed_before_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = CertificateAuthority(tmp_path)
    kept = (tmp_path / "server.pem").read_bytes()
    CertificateAuthority(tmp_path)
    assert (tmp_path / "server.pem").read_bytes() == kept
    authority = first.ca_file.read_bytes()
    monkeypatch.setattr(ca_module, "RENEW_BEFORE", dt.timedelta(days=400))  # longer than the certificate lives
    CertificateAuthority(tmp_path)
    assert (tmp_path / "server.pem").read_bytes() != kept
    assert first.ca_file.read_bytes() == authority
    leaf = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))


def test_a_port_is_remembered_and_left_when_somebody_else_has_it(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"

    def take() -> Any:
        return Ports(file).listen("s3")

    with take() as sock:
        port = sock.getsockname()[1]
    with take() as sock:
        assert sock.getsockname()[1] == port
        sock.listen()
        with take() as other:
            assert other.getsockname()[1] != port
