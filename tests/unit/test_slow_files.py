from pathlib import Path

from tests.slow_files import SECONDS

TESTS = Path(__file__).resolve().parents[1]


def test_each_of_them_is_there() -> None:
    assert [name for name in SECONDS if not (TESTS / name).is_file()] == []
