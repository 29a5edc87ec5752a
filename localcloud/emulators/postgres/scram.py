"""The client's half of SCRAM-SHA-256, by which the door signs in to the server behind it (RFC 5802, RFC 7677).

The password never leaves, and a server that does not know it either is found out.
"""

import base64
import hashlib
import hmac
import secrets

MECHANISM = "SCRAM-SHA-256"
_NO_BINDING = "n,,"


class ScramError(Exception):
    """The other side does not know the password, or speaks something else."""


class Scram:
    """One sign-in: `first`, then `answer` to what comes, then `check` what comes after that."""

    def __init__(self, password: str) -> None:
        """`password`: plain ASCII, so that nothing needs SASLprep."""
        self._password = password.encode()
        self._nonce = secrets.token_urlsafe(18)
        self._first = f"n=,r={self._nonce}"
        self._proof_of_server = b""

    @property
    def first(self) -> bytes:
        """The client's first message."""
        return (_NO_BINDING + self._first).encode()

    def answer(self, challenge: bytes) -> bytes:
        """The client's proof."""
        fields = _fields(challenge)
        if not fields.get("r", "").startswith(self._nonce):
            raise ScramError("the server's nonce does not begin with ours")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(fields["s"]), int(fields["i"]))
        bare = f"c={base64.b64encode(_NO_BINDING.encode()).decode()},r={fields['r']}"
        signed = f"{self._first},{challenge.decode()},{bare}".encode()
        key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(key).digest(), signed)
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        self._proof_of_server = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()

    def check(self, last: bytes) -> None:
        """ScramError unless the server knows the password as well."""
        if not hmac.compare_digest(base64.b64decode(_fields(last).get("v", "")), self._proof_of_server):
            raise ScramError("the server does not know the password")


def _fields(text: bytes) -> dict[str, str]:
    return {part[:1]: part[2:] for part in text.decode().split(",")}


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
