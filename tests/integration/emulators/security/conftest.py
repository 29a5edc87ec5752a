"""The local cloud with two of everything, and a raw connection to it."""

from collections.abc import Iterator

import pytest

from tests.integration.emulators.local import Local
from tests.integration.emulators.security.azure import Azure
from tests.integration.emulators.security.wire import Wire


@pytest.fixture(scope="module")
def azure(local: Local) -> Azure:
    return Azure(local)


@pytest.fixture(scope="module")
def wire(local: Local) -> Iterator[Wire]:
    found = Wire(local.ca)
    yield found
    found.close()
