"""The local certificate authority and the one server certificate every door of the local cloud shows.

The authority lives two years, the certificate one; each is made anew 30 days before its end. Only `ca_file` is meant to
be read by others; both keys stay in 0600 files under the home folder and sign nothing but loopback names.
"""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcloud.emulators.private_files import private_folder, write_private

AUTHORITY_DAYS = 730
SERVER_DAYS = 365
RENEW_BEFORE = dt.timedelta(days=30)
LOOPBACK = [
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
]
_SERVER_USAGE = {"digital_signature"}
_AUTHORITY_USAGE = {"key_cert_sign", "crl_sign"}
_USAGES = [
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
]


class CertificateAuthority:
    """Keeps `ca.pem` (public) and the keys in `folder`; `ca_file` is what clients trust, `server_context()` what
    doors use.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)
        self.ca_file = folder / "ca.pem"
        self._ca_key_file = folder / "ca.key"
        self._server_file = folder / "server.pem"  # certificate and key in one
        if not (_lasts(self.ca_file) and self._ca_key_file.exists()):
            self._make_authority()
            self._server_file.unlink(missing_ok=True)
        if not _lasts(self._server_file):
            self._make_server()

    def problem(self) -> str:
        """Empty while the certificate holds; clients refuse one that has ended."""
        ends = _ends(self._server_file)
        if ends > dt.datetime.now(dt.UTC):
            return ""
        return (
            f"certificate: it must not have ended, got {ends:%Y-%m-%d}; renew it by starting anew (nothing is lost): "
            "./millrace down && ./millrace up"
        )

    def server_context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer with the server certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._server_file)
        return context

    def _make_authority(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Millrace local cloud authority")
        builder = _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(_AUTHORITY_USAGE), critical=True)
        certificate = builder.sign(key, hashes.SHA256())
        write_private(self._ca_key_file, _key_pem(key))
        write_private(self.ca_file, certificate.public_bytes(serialization.Encoding.PEM))
        self.ca_file.chmod(0o644)

    def _make_server(self) -> None:
        authority = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
        authority_key = serialization.load_pem_private_key(self._ca_key_file.read_bytes(), password=None)
        if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self._ca_key_file} must hold an EC key; delete {self._folder} to make a new authority.")
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name("localhost"), authority.subject, key.public_key(), SERVER_DAYS)
        builder = builder.add_extension(x509.SubjectAlternativeName(LOOPBACK), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(_SERVER_USAGE), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        certificate = builder.add_extension(issuer, critical=False).sign(authority_key, hashes.SHA256())
        write_private(self._server_file, certificate.public_bytes(serialization.Encoding.PEM) + _key_pem(key))


def _lasts(file: Path) -> bool:
    if not file.exists():
        return False
    return _ends(file) - dt.datetime.now(dt.UTC) > RENEW_BEFORE


def _ends(file: Path) -> dt.datetime:
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(true: set[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in true for usage in _USAGES})


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))  # clocks of containers drift
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
