"""A dynamic resource whose provider class is importable, as the project's own are."""

from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult


class MarkProvider(ResourceProvider):
    """Remembers a text."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """The text in capitals."""
        return CreateResult(f"mark-{props['text']}", {"text": props["text"].upper()})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Changed when the text is another."""
        return DiffResult(changes=olds.get("text") != str(news["text"]).upper())

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """The new text in capitals."""
        return UpdateResult({"text": news["text"].upper()})


class Mark(Resource, module="tiny", name="Mark"):
    """A text, in capitals once it is made."""

    text: pulumi.Output[str]

    def __init__(self, name: str, text: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(MarkProvider(), name, {"text": text}, opts)
