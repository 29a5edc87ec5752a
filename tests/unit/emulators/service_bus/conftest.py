"""A broker with one queue, unless the module says something else."""

import pytest

from tests.unit.emulators.service_bus.stage import Stage


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.queue(lock_s=30.0, max_delivery_count=3)
    return made
