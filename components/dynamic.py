"""What this project's own dynamic resources share."""

from __future__ import annotations

from typing import Any, ClassVar

from pulumi.dynamic import DiffResult, ResourceProvider


class ByInputs(ResourceProvider):
    """A resource that changes exactly when one of its inputs does."""

    serialize_as_secret_always = False
    identity: ClassVar[tuple[str, ...]] = ()
    """Inputs that make it another resource."""
    unseen: ClassVar[tuple[str, ...]] = ("__provider",)
    """Inputs that say how, not what: another value is no change."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Compare what was asked for; outputs and the pickled provider do not count."""
        changed = [key for key, value in news.items() if key not in self.unseen and olds.get(key) != value]
        replaces = [key for key in changed if key in self.identity]
        return DiffResult(changes=bool(changed), replaces=replaces, delete_before_replace=False)
