"""A package's way to its app, by the deployer's own identity: into the container, then published as its plan wants.

The only module of the program that touches deploy-time SDKs. Every wait is bounded; what Azure refuses is told with its
status and what it said.
"""

from __future__ import annotations

import json
import os
import time
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ROLE_WAIT_S = 300  # Azure's role assignments take seconds to minutes to be seen everywhere
PUBLISH_WAIT_S = 600
BUSY_WAIT_S = 180  # another deployment of the app ends, or a site that is starting answers, within minutes
PAUSE_S = 5.0
MANAGEMENT_SCOPE = "https://management.azure.com/.default"
SYNC_API = "2024-11-01"
BUSY = {
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
"""Answers of a deployment site that waiting mends."""


class DeploymentError(Exception):
    """Azure refused; the text carries its status and the excerpt of its log that says why."""


def upload(app: str, archive: Path, container_url: str, digest: str) -> None:
    """Put the zip into its container, over what is there; waits for a role that was granted a moment ago."""
    from azure.core.exceptions import AzureError, HttpResponseError
    from azure.storage.blob import BlobClient

    blob = BlobClient.from_blob_url(f"{container_url}/{archive.name}", credential=credential())
    deadline = time.monotonic() + ROLE_WAIT_S
    while True:
        try:
            with archive.open("rb") as content:
                blob.upload_blob(content, length=archive.stat().st_size, overwrite=True, metadata={"digest": digest})
        except HttpResponseError as error:
            # The one refusal that waiting mends.
            if error.status_code != HTTPStatus.FORBIDDEN or time.monotonic() > deadline:
                raise DeploymentError(
                    f"package of {app}: the storage account answered {error.status_code} ({error.reason}) to "
                    f"the upload; the deployer needs Storage Blob Data Contributor on {container_url}"
                ) from error
            time.sleep(PAUSE_S)
        except AzureError as error:
            raise DeploymentError(
                f"package of {app}: {container_url} could not be reached: {error.message}; "
                "sign in (az login) and check the network, then run it again"
            ) from error
        else:
            return


def uploaded(container_url: str, name: str) -> bool:
    """Whether the zip lies in its container; who may not look is told no, as putting it again changes nothing."""
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobClient

    try:
        return bool(BlobClient.from_blob_url(f"{container_url}/{name}", credential=credential()).exists())
    except HttpResponseError as error:
        if error.status_code == HTTPStatus.FORBIDDEN:
            return False
        raise DeploymentError(f"{container_url} answered {error.status_code} ({error.reason})") from error


def publish(props: dict[str, Any]) -> None:
    """Make the app run its package: OneDeploy where a deployment site is named, else a trigger sync."""
    if "publish_url" in props:
        _one_deploy(props)
    else:
        _sync_triggers(props)


def published(props: dict[str, Any]) -> bool:
    """Whether the app's deployment site has a package that runs; a Consumption app's setting says it by itself."""
    if "publish_url" not in props:
        return True
    status, body = _send(props["app"], "GET", f"{props['publish_url']}/api/deployments/latest", None, "text/plain")
    if status == HTTPStatus.NOT_FOUND:
        return False
    if status != HTTPStatus.OK:
        raise DeploymentError(f"{props['app']}: {props['publish_url']} answered {status}: {_excerpt(body)}")
    return bool(json.loads(body).get("status") == 4)  # Kudu: success


def _one_deploy(props: dict[str, Any]) -> None:
    """POST the zip to the app's own deployment site and wait for its word (what `func` and Terraform do for Flex)."""
    from azure.core.exceptions import AzureError
    from azure.storage.blob import BlobClient

    app, site = props["app"], props["publish_url"]
    try:
        content = BlobClient.from_blob_url(props["package_url"], credential=credential()).download_blob().readall()
    except AzureError as error:
        raise DeploymentError(f"{app}: its package {props['package_url']} cannot be read: {error.message}") from error
    url = f"{site}/api/publish?type=zip&RemoteBuild=false"
    deadline = time.monotonic() + BUSY_WAIT_S
    status, body = _send(app, "POST", url, content, "application/zip")
    while status in BUSY and time.monotonic() < deadline:
        time.sleep(PAUSE_S)
        status, body = _send(app, "POST", url, content, "application/zip")
    if status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        raise DeploymentError(f"{app}: {site} answered {status} to the package: {_excerpt(body)}")
    if status == HTTPStatus.ACCEPTED:
        deployment = body.decode().strip().strip('"') or "latest"
        _wait_for_deployment(app, f"{site}/api/deployments/{deployment}")


def _wait_for_deployment(app: str, url: str) -> None:
    deadline = time.monotonic() + PUBLISH_WAIT_S
    while time.monotonic() < deadline:
        status, body = _send(app, "GET", url, None, "application/json")
        # 404 for a moment: the deployment site has accepted the package but not yet listed it.
        answer = json.loads(body) if status == HTTPStatus.OK else {}
        if answer.get("status") == 4:  # Kudu: 3 failed, 4 success, below that in progress
            return
        waits = {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NOT_FOUND} | BUSY
        if answer.get("status") == 3 or status not in waits:
            raise DeploymentError(
                f"{app}: the deployment failed ({status}): {answer.get('status_text') or _excerpt(body)}"
            )
        time.sleep(0.2 if "127.0.0.1" in url else 2)
    raise DeploymentError(f"{app}: not deployed after {PUBLISH_WAIT_S} s; look at {url}")


def _sync_triggers(props: dict[str, Any]) -> None:
    """Consumption runs the zip that a setting names; the platform must be told to look again."""
    url = f"{props['management_url']}{props['site_id']}/syncfunctiontriggers?api-version={SYNC_API}"
    deadline = time.monotonic() + BUSY_WAIT_S
    status, body = _send(props["app"], "POST", url, b"", "application/json")
    while status in BUSY and time.monotonic() < deadline:
        time.sleep(PAUSE_S)
        status, body = _send(props["app"], "POST", url, b"", "application/json")
    if status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
        raise DeploymentError(f"{props['app']}: {url} answered {status}: {_excerpt(body)}")


def _send(app: str, method: str, url: str, body: bytes | None, content_type: str) -> tuple[int, bytes]:
    import requests  # comes with azure-core; reads the CA file and proxies from the environment
    from azure.core.exceptions import ClientAuthenticationError

    try:
        token = credential().get_token(MANAGEMENT_SCOPE).token
    except ClientAuthenticationError as error:
        raise DeploymentError(f"{app}: nobody is signed in to Azure here; run: az login ({error.message})") from error
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    try:
        response = requests.request(method, url, data=body, headers=headers, timeout=PUBLISH_WAIT_S)
    except requests.RequestException as error:
        raise DeploymentError(f"{app}: {url} could not be reached: {error}; check it, then run this again") from error
    return response.status_code, response.content


def credential() -> Any:
    """Who deploys, once per process and identity endpoint."""
    return _credential_of(os.environ.get("IDENTITY_ENDPOINT", ""))  # noqa: TID251  the SDK's own variable


@lru_cache(maxsize=4)
def _credential_of(identity_endpoint: str) -> Any:
    """Azure's own chain of environment, workload identity, managed identity and the command line's sign-in.

    A managed identity is asked for only where the machine says that it has one: everywhere else the SDK would knock on
    a link-local address that nobody answers, before it asks the command line.
    """
    from azure.identity import DefaultAzureCredential  # only an up needs it: 0.3 s and 18 MB

    told = ("MSI_ENDPOINT", "AZURE_TOKEN_CREDENTIALS", "ARM_USE_MSI")
    has_one = bool(identity_endpoint) or any(os.environ.get(name) for name in told)  # noqa: TID251  as above
    return DefaultAzureCredential(
        exclude_managed_identity_credential=not has_one,
        exclude_shared_token_cache_credential=True,
        exclude_interactive_browser_credential=True,
    )


def _excerpt(body: bytes) -> str:
    return body[:2_000].decode(errors="replace").strip() or "(no text)"
