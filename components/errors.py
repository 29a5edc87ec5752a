"""Declaration errors: a message for people, not a trace.

Recipe: who, what must hold, the value got, the change to make. Pulumi prints a `RunError`'s text alone.
"""

import pulumi


class DeclarationError(pulumi.RunError):
    """A declaration that cannot be right."""

    def __init__(self, who: str, *, must: str, got: object, change: str) -> None:
        """`FunctionWorker "fetch": memory_mb must be 512, 2048 or 4096, got 1024; set memory_mb=2048`."""
        super().__init__(f"{who}: {must}, got {got}; {change}")


def require(condition: object, who: str, *, must: str, got: object, change: str) -> None:
    """Raise a `DeclarationError` unless the condition holds."""
    if not condition:
        raise DeclarationError(who, must=must, got=got, change=change)
