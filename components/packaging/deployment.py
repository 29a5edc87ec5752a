"""A package and its publication as resources: built and uploaded by identity, published the way its plan wants.

The only module of the program that touches deploy-time SDKs. Two dynamic resources, whose provider classes are
importable (a pickled class would show as a diff): `Package` builds the zip and puts it into its app's container;
`Deployment` makes the app run it. Nothing happens in a preview: a package's digest is known without building.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.packaging.builder import build, plan
from components.packaging.declaration import load
from components.packaging.target import Target

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / ".millrace" / "packages"
ROLE_WAIT_S = 300  # Azure's role assignments take seconds to minutes to be seen everywhere
PUBLISH_WAIT_S = 600
MANAGEMENT_SCOPE = "https://management.azure.com/.default"
SYNC_API = "2024-11-01"


class DeploymentError(Exception):
    """Azure refused; the text carries its status and the excerpt of its log that says why."""


class _ByInputs(ResourceProvider):
    """A resource that changes exactly when one of its inputs does."""

    serialize_as_secret_always = False
    identity: ClassVar[tuple[str, ...]] = ()
    """Inputs that make it another resource."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Compare what was asked for; outputs and the pickled provider do not count."""
        changed = [key for key, value in news.items() if key != "__provider" and olds.get(key) != value]
        replaces = [key for key in changed if key in self.identity]
        return DiffResult(changes=bool(changed), replaces=replaces, delete_before_replace=False)


class PackageProvider(_ByInputs):
    """Builds a package and uploads it to `container_url`."""

    identity = ("app", "container_url")

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Build unless built, upload unless there."""
        name = _upload(props)
        return CreateResult(f"{props['container_url']}/{name}", {**props, "blob": name})

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """The new zip lies beside the old one: what runs keeps its own until it is published anew."""
        return UpdateResult({**news, "blob": _upload(news)})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """The container goes with its account; a single zip left behind runs nowhere."""


class DeploymentProvider(_ByInputs):
    """Makes an app run a package: OneDeploy on Flex Consumption, a trigger sync on Consumption."""

    identity = ("site_id",)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Publish and wait until the app has it."""
        _publish(props)
        return CreateResult(f"{props['site_id']}/{props['digest']}", dict(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Publish the new one."""
        _publish(news)
        return UpdateResult(dict(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """What was published goes with the app."""


class Package(Resource, module="millrace", name="Package"):
    """A built package in its app's container. `digest` names it by its inputs; a preview shows it change."""

    app: pulumi.Output[str]
    digest: pulumi.Output[str]
    blob: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        app: str,
        digest: str,
        declaration: str,
        target: Target,
        container_url: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`declaration`: the app as declaration.py dumps it; `container_url`: where the zip goes."""
        props = {
            "app": app,
            "digest": digest,
            "declaration": declaration,
            "python": target.python,
            "platform": target.platform,
            "container_url": container_url,
            "blob": None,
        }
        super().__init__(PackageProvider(), name, props, opts)


class Deployment(Resource, module="millrace", name="Deployment"):
    """An app running a package."""

    digest: pulumi.Output[str]

    def __init__(
        self, name: str, props: dict[str, pulumi.Input[str]], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """`props`: site_id, digest, and either publish_url + package_url (Flex) or management_url (Consumption)."""
        super().__init__(DeploymentProvider(), name, dict(props), opts)


def _credential() -> Any:
    from azure.identity import DefaultAzureCredential  # only an up needs it: 0.3 s and 18 MB

    return DefaultAzureCredential()


def _upload(props: dict[str, Any]) -> str:
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobClient

    made = plan(load(props["declaration"]), root=ROOT, target=Target(props["python"], props["platform"]))
    if made.digest != props["digest"]:
        raise DeploymentError(
            f"package of {props['app']}: its files changed while this ran ({props['digest'][:12]} is now "
            f"{made.digest[:12]}); run it again"
        )
    built = build(made, BUILT, progress=pulumi.log.debug)
    blob = BlobClient.from_blob_url(f"{props['container_url']}/{built.path.name}", credential=_credential())
    deadline = time.monotonic() + ROLE_WAIT_S
    while True:
        try:
            with built.path.open("rb") as content:
                blob.upload_blob(content, length=built.bytes, overwrite=True, metadata={"digest": props["digest"]})
        except HttpResponseError as error:
            # A role granted a moment ago is not seen everywhere yet: the one refusal that waiting mends.
            if error.status_code != 403 or time.monotonic() > deadline:
                raise DeploymentError(
                    f"package of {props['app']}: the storage account answered {error.status_code} ({error.reason}) to "
                    f"the upload; the deployer needs Storage Blob Data Contributor on {props['container_url']}"
                ) from error
            time.sleep(5)
        else:
            return built.path.name


def _publish(props: dict[str, Any]) -> None:
    if "publish_url" in props:
        _one_deploy(props)
    else:
        _sync_triggers(props)


def _one_deploy(props: dict[str, Any]) -> None:
    """POST the zip to the app's own deployment site and wait for its word (what `func` and Terraform do for Flex)."""
    from azure.storage.blob import BlobClient

    content = BlobClient.from_blob_url(props["package_url"], credential=_credential()).download_blob().readall()
    site = props["publish_url"]
    status, body = _send("POST", f"{site}/api/publish?type=zip&RemoteBuild=false", content, "application/zip")
    if status not in (200, 202):
        raise DeploymentError(f"{props['app']}: {site} answered {status} to the package: {_excerpt(body)}")
    if status == 200:
        return
    deployment = body.decode().strip().strip('"') or "latest"
    _wait_for_deployment(props["app"], f"{site}/api/deployments/{deployment}")


def _wait_for_deployment(app: str, url: str) -> None:
    deadline = time.monotonic() + PUBLISH_WAIT_S
    while time.monotonic() < deadline:
        status, body = _send("GET", url, None, "application/json")
        # 404 for a moment: the deployment site has accepted the package but not yet listed it.
        answer = json.loads(body) if status == 200 else {}
        if answer.get("status") == 4:  # Kudu: 3 failed, 4 success, below that in progress
            return
        if answer.get("status") == 3 or status not in (200, 202, 404):
            raise DeploymentError(
                f"{app}: the deployment failed ({status}): {answer.get('status_text') or _excerpt(body)}"
            )
        time.sleep(0.2 if "127.0.0.1" in url else 2)
    raise DeploymentError(f"{app}: not deployed after {PUBLISH_WAIT_S} s; look at {url}")


def _sync_triggers(props: dict[str, Any]) -> None:
    """Consumption runs the zip that a setting names; the platform must be told to look again."""
    url = f"{props['management_url']}{props['site_id']}/syncfunctiontriggers?api-version={SYNC_API}"
    status, body = _send("POST", url, b"", "application/json")
    if status not in (200, 204):
        raise DeploymentError(f"{props['app']}: {url} answered {status}: {_excerpt(body)}")


def _send(method: str, url: str, body: bytes | None, content_type: str) -> tuple[int, bytes]:
    import requests  # comes with azure-core; reads the CA file and proxies from the environment

    token = _credential().get_token(MANAGEMENT_SCOPE).token
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    response = requests.request(method, url, data=body, headers=headers, timeout=PUBLISH_WAIT_S)
    return response.status_code, response.content


def _excerpt(body: bytes) -> str:
    return body[:2_000].decode(errors="replace").strip() or "(no text)"
