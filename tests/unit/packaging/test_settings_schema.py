from __future__ import annotations

from pathlib import Path

import pytest

from components.packaging.errors import PackageError
from components.packaging.settings_schema import read_handler

GOOD = """
from typing import ClassVar, Literal
import msgspec
from core.aws import Base

class Settings(Base, frozen=True, kw_only=True):
    source_queue_url: str
    mode: Literal["strict", "lenient"] = "strict"
    collector_key: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    renamed: int = msgspec.field(name="other")
    limit: ClassVar[int] = 3

async def handle(message: Tick, context): ...
"""


def write(root: Path, text: str) -> Path:
    (root / "handlers").mkdir(exist_ok=True)
    (root / "core").mkdir(exist_ok=True)
    (root / "handlers" / "h.py").write_text(text)
    (root / "core" / "aws.py").write_text("class Base(msgspec.Struct):\n    region: str\n    retries: int = 3\n")
    return root


def test_fields_become_app_settings(tmp_path: Path) -> None:
    facts = read_handler(write(tmp_path, GOOD), "handlers.h")
    assert facts.required == {"REGION", "SOURCE_QUEUE_URL", "RENAMED"}
    assert facts.known == facts.required | {"RETRIES", "MODE", "COLLECTOR_KEY", "TAGS"}
    assert {field.app_setting: field.annotation for field in facts.settings}["COLLECTOR_KEY"] == "str | None"
    assert (facts.file, facts.message, facts.is_async) == ("handlers/h.py", "Tick", True)


def test_settings_may_live_in_core(tmp_path: Path) -> None:
    text = "from core.aws import Base as Settings\ndef handle(message, context): ...\n"
    assert read_handler(write(tmp_path, text), "handlers.h").required == {"REGION"}


@pytest.mark.parametrize(
    ("imported", "base"),
    [
        ("from core import aws", "aws.Base"),
        ("from core import aws as a", "a.Base"),
        ("import core.aws", "core.aws.Base"),
    ],
)
def test_a_base_may_be_named_with_its_module(tmp_path: Path, imported: str, base: str) -> None:
    text = f"{imported}\nclass Settings({base}):\n    mode: str\ndef handle(message, context): ...\n"
    assert read_handler(write(tmp_path, text), "handlers.h").required == {"REGION", "MODE"}


def test_a_handler_without_settings_needs_none(tmp_path: Path) -> None:
    assert read_handler(write(tmp_path, "def handle(message, context): ...\n"), "handlers.h").settings == ()


@pytest.mark.parametrize(
    ("module", "text", "error"),
    [
        ("handlers.gone", "", r'handler "handlers.gone": .* got no such file: handlers/gone.py; create'),
        ("core.aws", "", r"a module under handlers/, got a name outside handlers"),
        ("handlers.h", "x = 1\n", r"must define handle\(message, context\), got no function of that name; add it"),
        ("handlers.h", "def handle(message): ...\n", r"exactly \(message, context\), got \(message\).*line 1"),
        ("handlers.h", "def handle(:\n", r"valid Python, got .*line 1"),
        (
            "handlers.h",
            "class Settings: ...\nclass Settings: ...\ndef handle(message, context): ...\n",
            r"at most one class Settings, got 2 \(lines 1, 2\); keep one",
        ),
    ],
)
def test_faults_are_told_in_full(tmp_path: Path, module: str, text: str, error: str) -> None:
    with pytest.raises(PackageError, match=error):
        read_handler(write(tmp_path, text), module)
