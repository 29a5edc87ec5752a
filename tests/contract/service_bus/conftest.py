"""A namespace for each face of the SDK and a loop for its clients, once per test process."""

from collections.abc import Iterator

import pytest

from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.kit import FLAVOURS, Loop


@pytest.fixture(scope="session")
def buses() -> Iterator[dict[str, Bus]]:
    made = {flavour: Bus() for flavour in FLAVOURS}
    yield made
    for bus in made.values():
        bus.close()


@pytest.fixture(scope="session")
def clients(buses: dict[str, Bus]) -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()
