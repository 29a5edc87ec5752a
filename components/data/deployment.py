"""Migrations and login roles as resources of the program: a preview shows which file is new and who is let in.

The provider classes stand in this importable module (a pickled class would show as a diff); what they do is in
`signed_in`. Nothing happens in a preview.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.data import signed_in
from components.data.migrations import Migration
from components.dynamic import ByInputs


class MigrationsProvider(ByInputs):
    """Applies files; nothing is ever taken back."""

    identity = ("endpoint", "database")
    unseen = ("__provider", "root", "user")

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Apply what is not applied yet."""
        signed_in.migrate(props, Path.cwd() / props["root"])
        return CreateResult(f"{props['endpoint']}/{props['database']}/migrations", dict(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """The same."""
        signed_in.migrate(news, Path.cwd() / news["root"])
        return UpdateResult(dict(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Gone when the database does not know its files: it was made anew. Applying again changes nothing."""
        return ReadResult(id_ if signed_in.migrated(props) else "", dict(props))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """What was made goes with the database."""


class LoginProvider(ByInputs):
    """A principal's way in, and the one group role it is a member of."""

    identity = ("endpoint", "login")
    unseen = ("__provider", "user")

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the login role unless it is there."""
        signed_in.admit(props)
        return CreateResult(f"{props['endpoint']}/{props['login']}/{props['role']}", dict(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Another group, or another principal."""
        signed_in.admit(news)
        return UpdateResult(dict(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Gone when the role is; making it again changes nothing."""
        return ReadResult(id_ if signed_in.admitted(props) else "", dict(props))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Nobody signs in as it any more."""
        signed_in.dismiss(props)


class Migrations(Resource, module="millrace", name="Migrations"):
    """The files that a database has seen."""

    def __init__(
        self,
        name: str,
        *,
        endpoint: pulumi.Input[str],
        database: pulumi.Input[str],
        user: str,
        files: Sequence[Migration],
        root: Path,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`user`: the administrator's role; `root`: the project's folder, kept relative to the program."""
        props = {
            "endpoint": endpoint,
            "database": database,
            "user": user,
            "files": [str(file) for file in files],
            "root": os.path.relpath(root),
        }
        super().__init__(MigrationsProvider(), name, props, opts)


class Login(Resource, module="millrace", name="DatabaseLogin"):
    """A login role of one Entra principal."""

    def __init__(
        self,
        name: str,
        *,
        endpoint: pulumi.Input[str],
        database: pulumi.Input[str],
        user: str,
        login: str,
        role: str,
        object_id: pulumi.Input[str],
        administrator: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`role`: the group role; `administrator`: the login is the server's own, only its membership is made here."""
        props = {
            "endpoint": endpoint,
            "database": database,
            "user": user,
            "login": login,
            "role": role,
            "object_id": object_id,
            "administrator": administrator,
        }
        super().__init__(LoginProvider(), name, props, opts)
