"""Packages of the demo app in its variants, built once per test session; a certificate; the world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.packaging.archive import unpack
from components.packaging.builder import build, plan
from components.packaging.target import Target
from tests.contract.packages.project import REPOSITORY
from tests.contract.service_bus.test_tls import certificate
from tests.integration.host.bus.demo import HANDLERS, app
from tests.integration.host.bus.world import World

Package = Callable[..., Path]


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def world(tmp_path: Path, certified: tuple[Path, Path]) -> World:
    return World(tmp_path, certified)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The unpacked package of an app of these shapes and options."""
    root, out = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("packages")
    for name, text in HANDLERS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "handlers/requirements.txt").write_text((REPOSITORY / "handlers/requirements.txt").read_text())
    made: dict[str, Path] = {}

    def make(**shape: Any) -> Path:
        planned = plan(app(**shape), root=root, target=Target.local())
        if planned.digest not in made:
            built = build(planned, out, progress=lambda _: None)
            made[planned.digest] = unpack(built.path, out / planned.digest[:12] / planned.app)
        return made[planned.digest]

    return make
