"""A warming IP's day: what it may send, what a day comes to, and how the traffic brings it its allowance."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Warmup
from streams.control.figures import Figures
from streams.spread.warmup import (
    LARGEST,
    UNKNOWN_VOLUME_WEIGHT,
    allowance_of,
    day_weight,
    judged,
    part,
    warmup_terms,
)

TERMS = warmup_terms()
PLAN = Warmup(started_at=datetime(2026, 12, 1, tzinfo=UTC), initial_per_day=50, factor=1.5)


def test_each_good_day_multiplies_the_allowance() -> None:
    """50, 75, 112 … and never more than anybody sends."""
    assert [allowance_of(PLAN, stage) for stage in range(6)] == [50, 75, 112, 168, 253, 379]
    assert allowance_of(PLAN, 10_000) == LARGEST
    slow = Warmup(started_at=PLAN.started_at, factor=1.0 + 1e-12)
    assert allowance_of(slow, 10**15) == LARGEST, "at once, however many steps"


@pytest.mark.parametrize(
    ("figures", "step", "why"),
    [
        (Figures(attempts=100, accepted=95, deferred=5), 1, "a good day: 100 sent, 5 deferred"),
        (Figures(attempts=100, accepted=80, deferred=20), 0, "stands still: 20.0% deferred, limit 10.0%"),
        (Figures(attempts=100, accepted=60, deferred=40), -1, "steps back: 40.0% deferred, limit 25.0%"),
        (Figures(attempts=10, accepted=6, deferred=4), 0, "stands still: 10 of 100 were sent"),
        (Figures(attempts=1000, accepted=1000, complained=2), 0, "stands still: 0.20% complained, limit 0.10%"),
        (Figures(attempts=1000, accepted=1000, complained=4), -1, "steps back: 0.40% complained, limit 0.30%"),
        (Figures(attempts=100, accepted=100, complained=1), 1, "a good day: 100 sent, 0 deferred"),
        (Figures(), 0, "stands still: 0 of 100 were sent"),
    ],
)
def test_a_day_goes_on_stands_still_or_steps_back_by_its_rates(figures: Figures, step: int, why: str) -> None:
    """A few deferrals or a single complaint say nothing; a day that was not used earned nothing."""
    found = judged(figures, 100, TERMS)
    assert (found.step, found.reason) == (step, why)


def test_a_setting_takes_the_place_of_a_figure() -> None:
    """The others stay as in the file."""
    stricter = warmup_terms({"stall_deferrals": 0.01})
    assert (stricter.stall_deferrals, stricter.back_deferrals) == (0.01, TERMS.back_deferrals)
    assert judged(Figures(attempts=100, accepted=90, deferred=5), 100, stricter).step == 0


@given(
    st.lists(st.tuples(st.integers(1, 2_000), st.floats(0.1, 10)), min_size=1, max_size=4),
    st.floats(0.5, 500),
    st.integers(1, 1_000_000),
)
def test_the_expected_traffic_brings_each_warming_ip_its_allowance(
    warming: list[tuple[int, float]], others: float, volume: int
) -> None:
    """Where no weight had to be cut at the whole, each one's share of the deals is its part of the traffic."""
    total = sum(allowed for allowed, _ in warming)
    parts = [day_weight(allowed, own=own, others=others, warming=total, volume=volume) for allowed, own in warming]
    assert all(0 < one <= 1 for one in parts)
    if all(one < 1 for one in parts):
        weights = [one * own for one, (_, own) in zip(parts, warming, strict=True)]
        everybody = others + sum(weights)
        for weight, (allowed, _) in zip(weights, warming, strict=True):
            assert weight / everybody * volume == pytest.approx(allowed)


def test_an_unknown_volume_and_a_pool_of_new_ips_have_weights_too() -> None:
    """A sixteenth; and among themselves, by allowance."""
    assert day_weight(50, own=1.0, others=16.0, warming=100, volume=None) == UNKNOWN_VOLUME_WEIGHT
    assert day_weight(50, own=1.0, others=0.0, warming=200, volume=None) == 0.25


@given(st.integers(0, 10_000), st.integers(1, 50), st.text(max_size=20))
def test_the_parts_of_an_allowance_sum_to_it_and_differ_by_one(allowed: int, partitions: int, name: str) -> None:
    """However few mails and many partitions."""
    parts = [part(allowed, partition=one, partitions=partitions, name=name) for one in range(partitions)]
    assert sum(parts) == allowed
    assert max(parts) - min(parts) <= 1


def test_small_allowances_fall_to_other_partitions_each_day() -> None:
    """Four mails over twelve partitions: a month reaches all."""
    reached = {
        partition
        for day in range(30)
        for partition in range(12)
        if part(4, partition=partition, partitions=12, name=f"3/gmail/{day}")
    }
    assert reached == set(range(12))
