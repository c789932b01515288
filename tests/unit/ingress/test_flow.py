"""The token bucket: integer arithmetic, no drift."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catenet.core.flow import TokenBucket

SECOND = 1_000_000


def test_it_starts_full_and_refills_at_its_rate() -> None:
    bucket = TokenBucket(rate=10, capacity=5)
    assert bucket.take(5, 0) == 0
    assert bucket.take(1, 0) == 100_000
    assert bucket.take(1, 99_999) == 1
    assert bucket.take(1, 100_000) == 0
    assert bucket.available(10 * SECOND) == 5


def test_a_refused_request_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, capacity=10)
    bucket.take(8, 0)
    assert bucket.take(3, 0) == SECOND
    assert bucket.take(2, 0) == 0


def test_more_than_the_capacity_is_granted_on_credit() -> None:
    bucket = TokenBucket(rate=10, capacity=5)
    assert bucket.take(25, 0) == 0
    assert bucket.available(0) == -20
    assert bucket.take(1, 0) == 2_100_000
    assert bucket.take(1, 2_100_000) == 0


def test_time_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(rate=1, capacity=1, now_us=10 * SECOND)
    assert bucket.take(1, 10 * SECOND) == 0
    assert bucket.take(1, 5 * SECOND) > 0
    assert bucket.take(1, 11 * SECOND) == 0


def test_rates_and_capacities_are_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TokenBucket(rate=0, capacity=1)


@given(
    rate=st.integers(1, 10_000),
    capacity=st.integers(1, 1_000),
    steps=st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 50)), max_size=60),
)
def test_never_more_is_granted_than_capacity_and_rate_allow_and_waiting_helps(
    rate: int, capacity: int, steps: list[tuple[int, int]]
) -> None:
    bucket = TokenBucket(rate=rate, capacity=capacity)
    now = granted = 0
    for pause, count in steps:
        count = min(count, capacity)
        now += pause
        wait = bucket.take(count, now)
        if wait:
            now += wait
            assert bucket.take(count, now) == 0
        granted += count
        # Exact: whole tokens, no drift however often it is asked.
        assert granted * SECOND <= capacity * SECOND + now * rate
