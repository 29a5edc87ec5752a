"""The real engine needs Pulumi's command line: the one on PATH or in the cache. Nothing here builds one."""

from collections.abc import Iterator

import pytest

from localcloud.plugins.pulumi_cli.find import find_cli
from tests.integration.engine.checkout import Checkout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A copy of the project with a local cloud of its own, shared by small programs."""
    yield from _checkout(tmp_path_factory)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """One that nobody else puts anything into."""
    yield from _checkout(tmp_path_factory)


def _checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    if find_cli() is None:
        pytest.skip("no pulumi on PATH and none built: `./millrace pulumi version` builds it once (about 5 minutes)")
    copy = Checkout(tmp_path_factory.mktemp("checkout"))
    yield copy
    copy.stop()
