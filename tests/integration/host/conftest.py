"""Packages of the tiny project, built once per test session and unpacked."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.packaging.archive import unpack
from components.packaging.builder import build, plan
from components.packaging.target import Target
from localcloud.host.spec import AppSpec
from tests.contract.packages.project import READER, TICKER, write


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs `async def` tests, each on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = write(tmp_path_factory.mktemp("project"))
    out = tmp_path_factory.mktemp("packages")
    found = {}
    for app in (TICKER, READER):
        built = build(plan(app, root=root, target=Target.local()), out, progress=lambda _: None)
        found[app.name] = unpack(built.path, out / app.name)
    return found


@pytest.fixture
def spec(packages: dict[str, Path], tmp_path: Path) -> Callable[..., AppSpec]:
    def make(app: str = "ticker", settings: dict[str, str] | None = None, **changes: Any) -> AppSpec:
        return AppSpec(
            name=app,
            system="clock",
            package=changes.pop("package", packages[app]),
            settings={"TICK_SCHEDULE": "0 0 0 1 1 *", "GREETING": "hello"} | (settings or {}),
            platform={"TZ": "UTC", "HOME": str(tmp_path)},
            python=sys.executable,
            folder=tmp_path / "host" / app,
            **changes,
        )

    return make
