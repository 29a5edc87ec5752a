"""Sides of a stack, made by hand."""

from typing import Any

from localcloud.review.shapes import Contents, Part, StackSide

STACK = "urn:pulumi:prod::millrace::pulumi:pulumi:Stack::millrace-prod"
SYSTEM = "urn:pulumi:prod::millrace::millrace:system:System::ingest"


def part(type_: str, name: str, *, parent: str = SYSTEM, **more: Any) -> Part:
    """A resource below the system."""
    known: dict[str, Any] = {
        "protect": False,
        "retain": False,
        "dependencies": [],
        "inputs": {},
        "custom": not type_.startswith("millrace:"),
    }
    return Part(urn=urn(type_, name), type=type_, name=name, parent=parent, **{**known, **more})


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:prod::millrace::{type_}::{name}"


def side(*parts: Part, **more: Any) -> StackSide:
    """A stack with a system that holds these parts."""
    system = Part(
        urn=SYSTEM, type="millrace:system:System", name="ingest", parent=STACK,
        custom=False, protect=False, retain=False, dependencies=[], inputs={},
    )  # fmt: skip
    return StackSide(refused=[], parts=[system, *parts], **more)


def contents(app: str, digest: str, files: dict[str, str], *distributions: str) -> Contents:
    return Contents(app=app, digest=digest, target="Python 3.12, linux", files=files, distributions=list(distributions))
