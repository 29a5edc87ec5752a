"""The one error of this folder: who, what must hold, the value got, the change to make."""

from __future__ import annotations


class PackageError(Exception):
    """A handler, an import or a pin that cannot become a package; the text is meant for the person who declared it.

    The components turn it into a declaration error of Pulumi's; nothing here imports Pulumi.
    """

    def __init__(self, *, who: str, must: str, got: str, change: str) -> None:
        self.who = who
        self.must = must
        self.got = got
        self.change = change
        super().__init__(f"{who}: {must}, got {got}; {change}.")
