"""A package and its publication as resources: built and uploaded by identity, published the way its plan wants.

Two dynamic resources, whose provider classes are importable (a pickled class would show as a diff): `Package` builds
the zip and puts it into its app's container; `Deployment` makes the app run it. Nothing happens in a preview: a
package's digest is known without building. A refresh asks whether both are still there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.dynamic import ByInputs
from components.packaging.builder import build, plan
from components.packaging.declaration import load
from components.packaging.publish import DeploymentError, publish, published, upload, uploaded
from components.packaging.target import Target

BUILT = Path(".millrace") / "packages"
"""Under the project's folder."""


class PackageProvider(ByInputs):
    """Builds a package and uploads it to `container_url`."""

    identity = ("app", "container_url")
    unseen = ("__provider", "root")

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Build unless built, upload unless there."""
        name = _built_and_uploaded(props)
        return CreateResult(f"{props['container_url']}/{name}", {**props, "blob": name})

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """The new zip lies beside the old one: what runs keeps its own until it is published anew."""
        return UpdateResult({**news, "blob": _built_and_uploaded(news)})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Gone when its zip is: an app that starts anew could not fetch it."""
        there = uploaded(props["container_url"], props["blob"])
        return ReadResult(id_ if there else "", dict(props))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """The container goes with its account; a single zip left behind runs nowhere."""


class DeploymentProvider(ByInputs):
    """Makes an app run a package: OneDeploy on Flex Consumption, a trigger sync on Consumption."""

    identity = ("site_id",)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Publish and wait until the app has it."""
        publish(props)
        return CreateResult(f"{props['site_id']}/{props['digest']}", dict(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Publish the new one."""
        publish(news)
        return UpdateResult(dict(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Gone when the app runs nothing: it was made anew behind the program's back."""
        return ReadResult(id_ if published(props) else "", dict(props))

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
        root: Path,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`declaration`: the app as declaration.py dumps it; `container_url`: where the zip goes; `root`: the folder
        with its handlers/, kept relative to the program so that no state names a machine's folders.
        """
        props = {
            "app": app,
            "digest": digest,
            "declaration": declaration,
            "python": target.python,
            "platform": target.platform,
            "container_url": container_url,
            "root": os.path.relpath(root),
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


def _built_and_uploaded(props: dict[str, Any]) -> str:
    root = Path.cwd() / props.get("root", ".")
    made = plan(load(props["declaration"]), root=root, target=Target(props["python"], props["platform"]))
    if made.digest != props["digest"]:
        raise DeploymentError(
            f"package of {props['app']}: its files changed while this ran ({props['digest'][:12]} is now "
            f"{made.digest[:12]}); run it again"
        )
    built = build(made, root / BUILT, progress=pulumi.log.debug)
    upload(props["app"], built.path, props["container_url"], props["digest"])
    return built.path.name
