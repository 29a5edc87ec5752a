"""One place per test: its journal and its limits are what tests look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.outside.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.stop()
