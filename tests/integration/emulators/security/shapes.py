"""What a refusal must look like: each service's own status, headers and body."""

from tests.integration.emulators.security.wire import Answer

STORAGE_401 = {"missing": "NoAuthenticationInformation"}
JSON_401 = {
    "missing": "AuthenticationFailed",
    "expired": "ExpiredAuthenticationToken",
    "wrong audience": "InvalidAuthenticationTokenAudience",
    "no audience": "InvalidAuthenticationTokenAudience",
    "wrong issuer": "InvalidAuthenticationTokenTenant",
    "v2 issuer": "InvalidAuthenticationTokenTenant",
    "wrong tenant": "InvalidAuthenticationTokenTenant",
}
VAULT_401 = {
    "missing": "AKV10000",
    "wrong audience": "AKV10022",
    "no audience": "AKV10022",
    "wrong issuer": "AKV10032",
    "v2 issuer": "AKV10032",
    "wrong tenant": "AKV10032",
}


def check_unknown(service: str, kind: str, answer: Answer, *, head: bool = False) -> None:
    """A 401 as `service` gives it to a caller of `kind`."""
    assert answer.status == 401, (kind, answer)
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer "), challenge
    assert "x-ms-request-id" in answer.headers
    if head:
        assert answer.body == b""
        return
    if service in {"blob", "queue"}:
        code = STORAGE_401.get(kind, "InvalidAuthenticationInfo")
        check_storage(answer, code)
        assert "resource_id=https://storage.azure.com" in challenge
        assert (answer.xml.find("AuthenticationErrorDetail") is None) == (kind == "missing")
    elif service == "vault":
        assert answer.json["error"]["code"] == "Unauthorized"
        assert answer.json["error"]["message"].startswith(VAULT_401.get(kind, "[BearerReadAccessTokenFailed]"))
        assert 'resource="https://vault.azure.net"' in challenge
        assert 'authorization="https://login.microsoftonline.com/' in challenge
    else:
        assert answer.json["error"]["code"] == JSON_401.get(kind, "InvalidAuthenticationToken"), answer.json
        assert 'error="invalid_token"' in challenge


def check_forbidden(service: str, answer: Answer, *, head: bool = False) -> None:
    """A 403 as `service` gives it to a caller without the role."""
    assert answer.status == 403, answer
    assert "www-authenticate" not in answer.headers
    if head:
        assert answer.body == b""
    elif service in {"blob", "queue"}:
        check_storage(answer, "AuthorizationPermissionMismatch")
    elif service == "vault":
        error = answer.json["error"]
        assert (error["code"], error["innererror"]["code"]) == ("Forbidden", "ForbiddenByRbac")
    elif service == "logs":
        assert answer.json["error"]["code"] == "OperationFailed"
        assert "does not have access to ingest data" in answer.json["error"]["message"]
    else:
        assert answer.json["error"]["code"] == "AuthorizationFailed"


def check_storage(answer: Answer, code: str) -> None:
    """Storage's error document with `code`, in body and header."""
    assert answer.headers["content-type"].startswith("application/xml")
    assert answer.headers["x-ms-error-code"] == code, answer
    assert answer.xml.tag == "Error"
    assert answer.xml.findtext("Code") == code
    assert "RequestId:" in (answer.xml.findtext("Message") or "")
