"""The same over TLS, as production has it: the SDK trusts the file that it is given."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage, TransportType
from azure.servicebus.exceptions import ServiceBusError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from localcloud.emulators.service_bus.server import Server
from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.kit import Kit, Loop, first, since, text
from tests.contract.service_bus.raw import Raw


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1)).add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    where, secret = folder / "cert.pem", folder / "key.pem"
    where.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return where, secret


OLDER = "the aio face does not set a segment size that loopback has, over TLS, and Linux takes from nobody"


@pytest.mark.parametrize("flavour", ["sync", pytest.param("aio", marks=since("7.15", OLDER))])
def test_over_tls(buses: dict[str, Bus], clients: Loop, flavour: str, tmp_path: Path) -> None:
    bus = buses[flavour]
    trusted, secret = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(trusted, secret)
    server: Server = bus.call(lambda: Server(bus.service))
    port = bus.run(server.listen(("127.0.0.1", 0), context))
    kit = Kit(bus, clients, flavour)
    queue = bus.queue()
    plain = bus.connection_string().replace("UseDevelopmentEmulator=true;", "").replace(f":{bus.port}", "")
    # The SDK drops the port of a namespace unless it is told not to use TLS; an endpoint of one's own means WebSockets
    # to it unless AMQP is asked for.
    options = {"custom_endpoint_address": f"sb://localhost:{port}", "transport_type": TransportType.Amqp}
    client = kit.client(plain, connection_verify=str(trusted), **options)

    async def case() -> None:
        sender, receiver = await asyncio.gather(
            kit.open(client.get_queue_sender(queue)), kit.open(client.get_queue_receiver(queue))
        )
        await sender.send_messages(ServiceBusMessage(b"s" * 150_000))
        (got,) = await first(receiver)
        assert text(got) == "s" * 150_000
        await receiver.complete_message(got)
        (error,) = await kit.refused(kit.client(plain, **options).get_queue_sender(queue))
        assert isinstance(error, ServiceBusError)  # an authority that nobody trusts
        await asyncio.gather(sender.close(), receiver.close())

    clients.run(case())
    with Raw(port) as raw:  # without TLS
        raw.say(b"AMQP\x00\x01\x00\x00" * 2)
        with pytest.raises((EOFError, ConnectionResetError)):
            raw.exactly(8)
    bus.run(server.close())
