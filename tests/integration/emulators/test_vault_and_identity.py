"""Key Vault with its SDK, and the identity endpoint as azure-identity asks it."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import jwt
import pytest
from aiohttp import web
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

from tests.integration.emulators.local import GROUP, SECRETS_OFFICER, SECRETS_USER, Local, TokenOf, client_of

VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"


def secrets(local: Local, principal: str) -> SecretClient:
    uri = local.run(local.cloud.vault.put_vault(VAULT, "kv"))
    return SecretClient(
        uri, TokenOf(local, principal), verify_challenge_resource=False, connection_verify=local.ca, retry_total=0
    )


def test_an_officer_sets_and_a_user_gets(local: Local) -> None:
    officer, user = local.identity("officer"), local.identity("user")
    local.assign(officer, SECRETS_OFFICER, VAULT)
    local.assign(user, SECRETS_USER, VAULT)
    first = secrets(local, officer).set_secret("collector-key", "one")
    secrets(local, officer).set_secret("collector-key", "two")
    client = secrets(local, user)
    assert client.get_secret("collector-key").value == "two"
    assert client.get_secret("collector-key", first.properties.version).value == "one"
    assert [p.name for p in client.list_properties_of_secrets()] == ["collector-key"]
    assert len(list(client.list_properties_of_secret_versions("collector-key"))) == 2
    with pytest.raises(ResourceNotFoundError):
        client.get_secret("nothing")
    with pytest.raises(HttpResponseError) as refused:
        client.set_secret("collector-key", "three")
    assert refused.value.status_code == 403
    with pytest.raises(HttpResponseError, match="getSecret"):
        secrets(local, local.identity("nobody")).get_secret("collector-key")
    assert local.do(lambda: local.cloud.vault.get_secret("kv", "collector-key")) == "two"


def ask(local: Local, secret: str, **query: str) -> tuple[int, dict[str, Any]]:
    url = f"{local.cloud.endpoints['identity']}?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(url, headers={"X-IDENTITY-HEADER": secret})  # noqa: S310 -- loopback
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_a_managed_identity_gets_its_own_tokens_only(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = local.identity("mine"), local.identity("other")
    local.do(lambda: local.cloud.identity.register_header("s3cret", [client_of(mine)]))
    monkeypatch.setenv("IDENTITY_ENDPOINT", local.cloud.endpoints["identity"])
    monkeypatch.setenv("IDENTITY_HEADER", "s3cret")
    with ManagedIdentityCredential(client_id=client_of(mine)) as credential:
        token = credential.get_token("https://storage.azure.com/.default").token
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["aud"], claims["sub"], claims["oid"], claims["appid"]) == (
        "https://storage.azure.com",
        mine,
        mine,
        client_of(mine),
    )
    assert (claims["ver"], claims["idtyp"], "azp" in claims) == ("1.0", "app", False)
    assert claims["exp"] - claims["iat"] == 86_400
    with ManagedIdentityCredential(client_id=client_of(other)) as credential, pytest.raises(ClientAuthenticationError):
        credential.get_token("https://storage.azure.com/.default")


def test_refusals_of_the_identity_endpoint(local: Local) -> None:
    mine = local.identity("mine")
    local.do(lambda: local.cloud.identity.register_header("h", [client_of(mine)]))
    good = {"api-version": "2019-08-01", "resource": "https://storage.azure.com/", "client_id": client_of(mine)}
    status, body = ask(local, "h", **good)
    assert (status, body["resource"], body["token_type"]) == (200, "https://storage.azure.com/", "Bearer")
    assert ask(local, "wrong", **good)[0] == 401
    assert ask(local, "h", **{**good, "api-version": "2017-09-01"})[0] == 400
    assert ask(local, "h", **{**good, "resource": "api://nobody"})[0] == 400
    assert "AADSTS500011" in ask(local, "h", **{**good, "resource": "api://nobody"})[1]["message"]
    assert ask(local, "h", **{key: good[key] for key in ("api-version", "resource")})[0] == 400
    local.do(lambda: local.cloud.identity.unregister("h"))
    assert ask(local, "h", **good)[0] == 401


def test_the_published_keys_verify_the_tokens(local: Local) -> None:
    base = local.cloud.endpoints["identity"].removesuffix("/msi/token")
    url = f"{base}/{local.cloud.identity.tenant_id}/.well-known/openid-configuration"
    with urllib.request.urlopen(url) as answer:  # noqa: S310 -- loopback
        document = json.loads(answer.read())
    token = local.do(lambda: local.cloud.identity.token("deployer", "https://management.azure.com/"))
    key = jwt.PyJWKClient(document["jwks_uri"]).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token, key, algorithms=["RS256"], audience="https://management.azure.com/", issuer=document["issuer"]
    )
    assert claims["oid"] == local.cloud.identity.deployer.principal_id


def test_a_mounted_application_sees_claims_and_only_for_its_audience(local: Local) -> None:
    import ssl

    async def who(request: web.Request) -> web.Response:
        return web.json_response(request["claims"])

    app = web.Application()
    app.router.add_get("/who", who)
    url = local.run(local.cloud.mount("management", app, "https://management.azure.com/")) + "/who"

    def get(audience: str) -> int:
        token = local.do(lambda: local.cloud.identity.token("deployer", audience))
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=local.ca)) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    assert get("https://management.azure.com") == 200
    assert get("https://storage.azure.com") == 401
