"""One small world a test."""

from pathlib import Path

import pytest

from tests.unit.engine.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A memory cloud with an empty record."""
    return World(tmp_path)
