from pathlib import Path

import pytest

from tests.contract.review.history import History


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return History(tmp_path_factory.mktemp("review") / "project")


@pytest.fixture
def golden() -> Path:
    return Path(__file__).with_name("golden")
