"""The key pair that signs the local tenant's tokens, and its public half as a JSON Web Key Set."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.emulators.private_files import keep_private


class TokenKeys:
    """One RSA-2048 key, made once and kept in `file` (0600): tokens stay valid over restarts."""

    def __init__(self, file: Path) -> None:
        loaded = serialization.load_pem_private_key(keep_private(file, _new_key), password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise TypeError(f"{file} must hold an RSA key; delete it to make a new one.")
        self.private = loaded
        self.public = loaded.public_key()
        numbers = self.public.public_numbers()
        self._n, self._e = _base64url(numbers.n), _base64url(numbers.e)
        self.kid = base64.urlsafe_b64encode(hashlib.sha256(self._n.encode()).digest()[:20]).rstrip(b"=").decode()

    def jwks(self) -> dict[str, Any]:
        """The key set as Entra publishes it."""
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "x5t": self.kid, "n": self._n, "e": self._e}
        return {"keys": [key]}


def _new_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
