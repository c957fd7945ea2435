"""What bounds a pool at a provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Condition
from streams.spread.capacity import pool_capacity, slot_rate

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def condition(rate: float | None, *, age_s: float = 0.0) -> Condition:
    """What a sender learned."""
    at = NOW - timedelta(seconds=age_s)
    return Condition(slot=1, provider="gmail", health="throttled", at=at, rate_per_s=rate)


@pytest.mark.parametrize(
    ("learned", "limit", "slow_to", "rate"),
    [
        (None, None, 1.0, None),
        (None, 50.0, 1.0, 50.0),
        (condition(8.0), 50.0, 1.0, 8.0),
        (condition(8.0), None, 1.0, 8.0),
        (condition(8.0, age_s=120), 50.0, 1.0, 50.0),
        (condition(8.0, age_s=120), None, 1.0, None),
        (condition(80.0), 50.0, 1.0, 50.0),
        (condition(None), 50.0, 1.0, 50.0),
        (msgspec.structs.replace(condition(8.0), at=datetime.max.replace(tzinfo=UTC)), 50.0, 1.0, 50.0),
        (condition(8.0), 50.0, 0.25, 2.0),
        (None, 50.0, 0.5, 25.0),
    ],
)
def test_a_slot_s_rate_is_the_learned_one_while_it_is_fresh(
    learned: Condition | None, limit: float | None, slow_to: float, rate: float | None
) -> None:
    """Else the configured limit; a control slows either."""
    assert slot_rate(learned, limit, slow_to=slow_to, now=NOW) == rate


@given(
    st.lists(
        st.tuples(st.floats(0.01, 100), st.one_of(st.none(), st.floats(0.01, 1_000))),
        min_size=1,
        max_size=40,
    )
)
def test_no_slot_is_dealt_more_than_its_rate(slots: list[tuple[float, float | None]]) -> None:
    """And the tightest has just its rate; without any limit there is none."""
    weights = tuple((slot, weight) for slot, (weight, _) in enumerate(slots))
    rates = [rate for _, rate in slots]
    capacity = pool_capacity(weights, rates.__getitem__)
    if capacity is None:
        assert set(rates) == {None}
        return
    total = sum(weight for _, weight in weights)
    parts = [(capacity * weight / total, rates[slot]) for slot, weight in weights]
    used = [part / rate for part, rate in parts if rate is not None]
    assert max(used) == pytest.approx(1.0)


def test_a_pool_without_slots_is_bounded_by_nothing_of_a_provider_s() -> None:
    """Its own window is 0 then."""
    assert pool_capacity((), lambda _: 1.0) is None
