"""Durations as Azure writes them back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.messaging.limits import iso
from localcloud.control.check_rules_bus import seconds


@pytest.mark.parametrize(
    ("length", "text"),
    [(5, "PT5S"), (90, "PT1M30S"), (300, "PT5M"), (3661, "PT1H1M1S"), (604800, "P7D"), (86460, "P1DT1M")],
)
def test_units_that_are_nought_are_left_out(length: int, text: str) -> None:
    assert iso(length) == text


@given(length=st.integers(min_value=1, max_value=10**9))
def test_what_is_written_reads_as_the_same(length: int) -> None:
    assert seconds(iso(length)) == length
