"""One running local cloud per test module, one Service Bus namespace in it, and the operator's command on that."""

from pathlib import Path

import pytest

from tests.integration.deadletters.bus_letters import Command
from tests.integration.emulators.bus_clients import Buses
from tests.integration.emulators.conftest import buses, local

__all__ = ["buses", "local"]


@pytest.fixture
def command(buses: Buses, tmp_path: Path) -> Command:
    return Command(buses, tmp_path)
