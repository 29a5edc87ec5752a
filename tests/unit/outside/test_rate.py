"""The limit in any second, whatever the clock's grid."""

from hypothesis import given
from hypothesis import strategies as st

from localcloud.outside.rate import SlidingSecond


@given(st.lists(st.floats(0, 0.4), max_size=60), st.integers(1, 5))
def test_no_second_has_more_and_none_is_turned_away_without_need(gaps: list[float], most: int) -> None:
    one, now, taken = SlidingSecond(), 0.0, list[float]()
    for gap in gaps:
        now += gap
        recent = [at for at in taken if at > now - 1]
        assert one.take(now, most) == (len(recent) < most)
        if len(recent) < most:
            taken.append(now)
    assert all(sum(start - 1 < at <= start for at in taken) <= most for start in taken)
