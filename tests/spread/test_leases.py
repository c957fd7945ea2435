"""Leases split rates by what waits, and campaigns meet their pace by them to the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Demand, Lease
from streams.spread.leases import DEMAND_S, FLOOR, Grants, leases, split
from streams.spread.pace import Bucket, share_of_first

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CAMPAIGN = "acme:autumn"


def demand(partition: int, *, waiting: int = 0, age_s: float = 0.0, name: str = "shared/gmail") -> Demand:
    """What a gate partition tells."""
    at = NOW - timedelta(seconds=age_s)
    return Demand(gate_partition=partition, at=at, capacity={name: waiting}, paces={CAMPAIGN: waiting})


def issued(grants: Grants, demands: Sequence[Demand] = (), *, partitions: int = 4) -> list[Lease]:
    """The leases of a moment."""
    told = {one.gate_partition: one for one in demands}
    return leases(grants, told, partitions=partitions, now=NOW, ttl_s=4.0)


@given(rate=st.floats(0.001, 1e5), waiting=st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_parts_sum_to_the_rate_and_none_is_negative(rate: float, waiting: list[int]) -> None:
    """With a floor or without; who has more waiting never gets less."""
    for floor in (0.0, FLOOR):
        parts = split(rate, waiting, floor=floor)
        assert math.isclose(math.fsum(parts), rate, rel_tol=1e-12)
        assert min(parts) >= floor * rate / len(waiting) * (1 - 1e-9)
        ordered = [part for _, part in sorted(zip(waiting, parts, strict=True))]
        assert all(after >= before * (1 - 1e-9) for before, after in pairwise(ordered))


@pytest.mark.parametrize("rate", [1e200, 1.7e308, math.inf])
def test_a_rate_beyond_all_measure_stops_nobody_s_lease(rate: float) -> None:
    """One campaign's pace of 1e200: each lease is read as it was written."""
    for lease in issued(Grants(paces={CAMPAIGN: rate}, pools={"shared": 100.0}), [demand(0, waiting=5)]):
        assert msgspec.json.decode(msgspec.json.encode(lease), type=Lease) == lease
        assert lease.pace_per_s[CAMPAIGN] > 0


def test_with_nothing_waiting_all_get_the_same_and_leases_expire() -> None:
    """So that a first mail anywhere finds credit."""
    found = issued(Grants(paces={CAMPAIGN: 8.0}, capacity={"shared/gmail": 40.0}, pools={"shared": 100.0}, held=(3,)))
    assert [one.gate_partition for one in found] == [0, 1, 2, 3]
    assert {one.pace_per_s[CAMPAIGN] for one in found} == {2.0}
    assert {one.capacity_per_s["shared/gmail"] for one in found} == {10.0}
    assert {one.per_pool_s["shared"] for one in found} == {25.0}
    assert {one.expires_at for one in found} == {NOW + timedelta(seconds=4)}
    assert {one.held for one in found} == {(3,)}


def test_a_rate_follows_what_waits_and_capacity_keeps_a_floor_for_all() -> None:
    """A partition behind a long queue elsewhere keeps a twentieth of the capacity, and next to nothing of the pace."""
    found = issued(
        Grants(paces={CAMPAIGN: 8.0}, capacity={"shared/gmail": 40.0}, pools={"shared": 100.0}),
        [demand(0, waiting=30_000), demand(1, waiting=10_000)],
    )
    assert found[0].pace_per_s[CAMPAIGN] == pytest.approx(6.0, rel=0.01)
    assert found[3].pace_per_s[CAMPAIGN] < 0.01
    assert found[3].capacity_per_s["shared/gmail"] == pytest.approx(40 * FLOOR / 4, rel=0.01)
    assert found[0].per_pool_s["shared"] == pytest.approx(100 * (FLOOR / 4 + (1 - FLOOR) * 0.75), rel=0.01)


def test_a_pool_s_demand_is_that_of_all_its_providers() -> None:
    """And of no other pool's, whatever they are called."""
    found = issued(
        Grants(pools={"shared": 100.0}),
        [demand(0, waiting=9_000, name="shared/other"), demand(1, waiting=9_000, name="shared-2/other")],
    )
    parts = [one.per_pool_s["shared"] for one in found]
    assert parts[0] > 80
    assert parts[1] == pytest.approx(parts[2])


def test_an_old_demand_is_that_of_a_gate_which_is_gone() -> None:
    """Nothing is kept for it but what anybody gets."""
    found = issued(
        Grants(pools={"shared": 100.0}),
        [
            demand(0, waiting=9_000, age_s=DEMAND_S + 0.1),
            demand(1, waiting=9_000, age_s=DEMAND_S - 0.1),
            demand(2, waiting=9_000, age_s=-DEMAND_S - 0.1),  # of a clock that runs ahead
        ],
    )
    parts = [one.per_pool_s["shared"] for one in found]
    assert parts[0] == parts[2] == parts[3] < parts[1]


class Gates:
    """Gate partitions in virtual time: each spends its lease from a bucket and tells what waits, each second."""

    POLL_S = 0.05

    def __init__(self, rows: Sequence[int], pace: Callable[[float], float]) -> None:
        self.rows = list(rows)
        self.pace = pace
        self.passed = 0.0
        self.dealt: list[float] = []
        self._buckets = [Bucket(NOW, first=share_of_first(at, CAMPAIGN)) for at in range(len(self.rows))]
        self._leases: list[Lease] = []

    def run(self, seconds: float) -> None:
        """Let time pass: CONTROL's turn each second, with demands of a second before."""
        for _ in range(round(seconds)):
            now = NOW + timedelta(seconds=self.passed)
            told = {
                partition: Demand(gate_partition=partition, at=now, paces={CAMPAIGN: waiting} if waiting else {})
                for partition, waiting in enumerate(self.rows)
            }
            later = leases(
                Grants(paces={CAMPAIGN: self.pace(self.passed)}), told, partitions=len(self.rows), now=now, ttl_s=4.0
            )
            self._spend(self._leases or later)
            self._leases = later

    def _spend(self, found: Sequence[Lease]) -> None:
        for _ in range(round(1 / self.POLL_S)):
            now = NOW + timedelta(seconds=self.passed)
            for partition, bucket in enumerate(self._buckets):
                rate = found[partition].pace_per_s[CAMPAIGN]
                while self.rows[partition] and bucket.take(rate, now):
                    self.rows[partition] -= 1
                    self.dealt.append(self.passed)
            self.passed += self.POLL_S

    def between(self, begin: float, end: float) -> int:
        """How many were dealt from `begin` to before `end`."""
        return sum(begin <= at < end for at in self.dealt)


@settings(max_examples=15, deadline=None)
@given(
    pace=st.floats(1.0, 200.0),
    minutes=st.integers(2, 4),
    parts=st.lists(st.floats(0.3, 1.0), min_size=3, max_size=12),
)
def test_a_pace_is_met_within_a_twentieth_in_each_minute_until_nearly_all_is_sent(
    pace: float, minutes: int, parts: list[float]
) -> None:
    """However unevenly the campaign lies over the partitions: what one that ran dry leaves goes to the others."""
    total = pace * 60 * minutes
    gates = Gates([round(total * part / sum(parts)) for part in parts], lambda _: pace)
    sent, everything = 0, sum(gates.rows)
    while True:
        begin = gates.passed
        gates.run(60)
        if sent + pace * 60 > 0.95 * everything:
            break
        this = gates.between(begin, begin + 60)
        # The first minute has one mail beside the pace, as one bucket would.
        assert 0.95 * pace * 60 - 1 <= this <= 1.05 * pace * 60 + 1
        sent += this
    gates.run(30)
    assert not any(gates.rows)


def test_one_partition_that_has_all_gets_the_pace() -> None:
    """Eleven have nothing to spend it on: within 5 % from the third second on."""
    gates = Gates([6_000, *[0] * 11], lambda _: 20.0)
    gates.run(63)
    assert gates.between(3, 63) == pytest.approx(1_200, rel=0.05)


def test_a_new_pace_holds_from_the_next_lease_on() -> None:
    """A minute at a tenth of the pace before, three seconds after it was said."""
    gates = Gates([3_000] * 4, lambda at: 100.0 if at < 30 else 10.0)
    gates.run(93)
    assert gates.between(33, 93) == pytest.approx(600, rel=0.05)
