"""A namespace for each face of the SDK and a loop for its clients, once per test process; connections by hand."""

from collections.abc import Iterator

import pytest

from tests.contract.service_bus.bus import Bus
from tests.contract.service_bus.kit import FLAVOURS, Loop
from tests.contract.service_bus.raw import Raw


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


@pytest.fixture
def bus(buses: dict[str, Bus]) -> Bus:
    """One of them, for tests that speak the protocol themselves."""
    return buses["sync"]


@pytest.fixture
def raw(bus: Bus) -> Iterator[Raw]:
    """A connection on which nothing was said yet."""
    with Raw(bus.port) as client:
        yield client
