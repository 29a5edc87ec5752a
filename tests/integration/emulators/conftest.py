"""One running local cloud per test module, and one Service Bus namespace in it for those that want one."""

from collections.abc import Iterator

import pytest

from tests.integration.emulators.bus_clients import Buses
from tests.integration.emulators.local import Local


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    running = Local(tmp_path_factory.mktemp("cloud"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def buses(local: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buses]:
    made = Buses(local, tmp_path_factory.mktemp("record"))
    yield made
    made.close()
