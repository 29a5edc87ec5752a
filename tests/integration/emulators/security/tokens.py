"""Every kind of caller whom an Entra-protected service must turn away, as the token (or header) it comes with."""

import base64
import json
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.emulators.identity import Identity

OTHER_TENANT: Final = "88888888-2222-3333-4444-555555555555"
ELSEWHERE: Final = {"https://storage.azure.com": "https://vault.azure.net"}
"""An audience that is real and not this service's; storage's for all others."""
Maker = Callable[["Forge"], str]


class Forge:
    """Makes tokens for one principal and audience, good and bad. `good` is what Entra would give."""

    def __init__(self, identity: Identity, principal: str, audience: str) -> None:
        self.identity, self.principal, self.audience = identity, principal, audience
        self.good = identity.token(principal, audience)
        self.claims: dict[str, Any] = jwt.decode(self.good, options={"verify_signature": False})

    def signed(self, *, kid: str | None = None, without: str = "", **changed: Any) -> str:
        """With the tenant's own key: what a stolen signing service could say."""
        claims = {name: value for name, value in {**self.claims, **changed}.items() if name != without}
        headers = {"kid": kid or self.identity.keys.kid}
        return jwt.encode(claims, self.identity.keys.private, algorithm="RS256", headers=headers)

    def by_another_key(self) -> str:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(self.claims, key, algorithm="RS256", headers={"kid": self.identity.keys.kid})

    def public_key_as_secret(self) -> str:
        """HS256 with the published key as the shared secret: PyJWT refuses to make it, so by hand."""
        import hashlib
        import hmac

        pem = self.identity.keys.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        parts = (json.dumps({"alg": "HS256", "typ": "JWT", "kid": self.identity.keys.kid}), json.dumps(self.claims))
        head = b".".join(_b64(part.encode()) for part in parts)
        return (head + b"." + _b64(hmac.new(pem, head, hashlib.sha256).digest())).decode()

    def tampered(self) -> str:
        """The good signature under another principal."""
        header, _, signature = self.good.split(".")
        return f"{header}.{_b64(json.dumps({**self.claims, 'oid': str(uuid.uuid4())}).encode()).decode()}.{signature}"


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _elsewhere(forge: Forge) -> str:
    return forge.signed(aud=ELSEWHERE.get(forge.audience, "https://storage.azure.com"))


UNKNOWN: Final[dict[str, Maker]] = {
    "garbage": lambda _: "not-a-token",
    "three parts of garbage": lambda _: "a.b.c",
    "deeply nested": lambda _: (_b64(b"[" * 4000) + b".e30.e30").decode(),
    "expired": lambda f: f.signed(exp=int(time.time()) - 1),
    "no expiry": lambda f: f.signed(without="exp"),
    "expiry as text": lambda f: f.signed(exp=str(int(time.time()) + 600), without="nbf"),
    "not yet valid": lambda f: f.signed(nbf=int(time.time()) + 3600),
    "wrong audience": _elsewhere,
    "no audience": lambda f: f.signed(without="aud"),
    "wrong issuer": lambda f: f.signed(iss=f"https://sts.windows.net/{OTHER_TENANT}/"),
    "v2 issuer": lambda f: f.signed(iss=f"https://login.microsoftonline.com/{f.identity.tenant_id}/v2.0", ver="2.0"),
    "wrong tenant": lambda f: f.signed(tid=OTHER_TENANT),
    "no principal": lambda f: f.signed(without="oid"),
    "forged signature": lambda f: f.by_another_key(),
    "tampered claims": lambda f: f.tampered(),
    "no signature": lambda f: f.good.rpartition(".")[0] + ".",
    "alg none": lambda f: jwt.encode(f.claims, "", algorithm="none", headers={"kid": f.identity.keys.kid}),
    "HS256 with the public key": lambda f: f.public_key_as_secret(),
    "unknown key": lambda f: f.signed(kid="another"),
}
"""Callers whom a service does not know (401), by what is wrong with their token."""
