"""One running local cloud per test module."""

from collections.abc import Iterator

import pytest

from tests.integration.emulators.local import Local


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    running = Local(tmp_path_factory.mktemp("cloud"))
    yield running
    running.stop()
