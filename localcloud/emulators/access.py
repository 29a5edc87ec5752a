"""Role-based access as Azure decides it: role assignments at scopes, inherited downwards, never upwards.

The built-in role definitions come from `role_definitions.json`, extracted from Microsoft's published list ("Azure
built-in roles"): GUID → name, actions, data_actions and their exceptions. Ids and scopes compare without regard to
case.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

ROLES_FILE: Final = Path(__file__).with_name("role_definitions.json")


class RoleDefinition(msgspec.Struct, frozen=True):
    """What a role allows: `actions` on the control plane, `data_actions` on the data plane; `*` stands for anything."""

    name: str
    actions: list[str] = []
    not_actions: list[str] = []
    data_actions: list[str] = []
    not_data_actions: list[str] = []

    def allows(self, action: str, *, data: bool) -> bool:
        """Whether `action` is among the role's (data) actions and not excepted."""
        yes, no = (self.data_actions, self.not_data_actions) if data else (self.actions, self.not_actions)
        return any(_matches(p, action) for p in yes) and not any(_matches(p, action) for p in no)


class Assignment(msgspec.Struct, frozen=True):
    """One role of one principal at one scope (an ARM id, lower case)."""

    principal_id: str
    role: str
    scope: str


class Access:
    """All role assignments of the local subscription. Nothing is allowed that no assignment allows."""

    def __init__(self) -> None:
        self._roles = msgspec.json.decode(ROLES_FILE.read_bytes(), type=dict[str, RoleDefinition])
        self._assignments: dict[str, Assignment] = {}

    def define(self, role_definition_id: str, role: RoleDefinition) -> None:
        """Adds or replaces a custom role."""
        self._roles[_guid(role_definition_id)] = role

    def assign(self, assignment_id: str, principal_id: str, role_definition_id: str, scope: str) -> None:
        """Gives a principal a role at a scope and everything below; the same again changes nothing.

        `role_definition_id` is the GUID or an ARM id that ends with it. LookupError for a role nobody defined.
        """
        role = _guid(role_definition_id)
        if role not in self._roles:
            raise LookupError(
                f"role assignment {assignment_id}: the role must be one this cloud knows, got "
                f"{role_definition_id}; add its "
                f"definition to {ROLES_FILE.name}."
            )
        self._assignments[assignment_id.lower()] = Assignment(principal_id.lower(), role, scope.lower().rstrip("/"))

    def remove(self, assignment_id: str) -> None:
        """Takes an assignment away; unknown ids are ignored."""
        self._assignments.pop(assignment_id.lower(), None)

    def allowed(self, principal_id: str, action: str, scope: str, *, data: bool = True) -> bool:
        """Whether a principal may do `action` (a data action unless `data` is false) at `scope` (an ARM id)."""
        who, where = principal_id.lower(), scope.lower().rstrip("/")
        return any(
            a.principal_id == who and _covers(a.scope, where) and self._roles[a.role].allows(action, data=data)
            for a in self._assignments.values()
        )

    def knows_role(self, role_definition_id: str) -> bool:
        """Whether a role definition exists."""
        return _guid(role_definition_id) in self._roles


def _guid(role_definition_id: str) -> str:
    return role_definition_id.rstrip("/").rsplit("/", 1)[-1].lower()


def _covers(scope: str, where: str) -> bool:
    return where == scope or where.startswith(scope + "/")


def _matches(pattern: str, action: str) -> bool:
    return _compiled(pattern).fullmatch(action) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*"), re.IGNORECASE)
