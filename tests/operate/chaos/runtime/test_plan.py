"""What a chaos run does is drawn by its seed, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.operate.chaos.blows import PAUSE_S
from streams.operate.chaos.runtime.plan import FEWEST, MOST, Kind, make, seconds


@given(seed=st.integers(0, 10_000), rounds=st.integers(len(Kind), 60), workers=st.integers(2, 5))
def test_every_kind_comes_and_workers_stay_within_bounds(seed: int, rounds: int, workers: int) -> None:
    """At any seed, length and start."""
    plan = make(seed=seed, rounds=rounds, workers=workers, events=1_000)
    assert {one.kind for one in plan.rounds} == set(Kind)
    assert [one.number for one in plan.rounds] == list(range(1, rounds + 1))
    running = workers
    for one in plan.rounds:
        running += (one.kind is Kind.ADD) - (one.kind is Kind.REMOVE)
        assert FEWEST <= running <= MOST
        assert PAUSE_S[0] <= one.pause_s <= PAUSE_S[1]
        assert 0 <= one.draw < 1


def test_the_same_seed_gives_the_same_rounds_and_another_gives_others() -> None:
    """A failure can be had again."""
    first, again, other = (make(seed=seed, rounds=30, workers=3, events=1_000) for seed in (4, 4, 5))
    assert first == again
    assert [one.kind for one in first.rounds] != [one.kind for one in other.rounds]


def test_kinds_that_leave_nobody_are_refused() -> None:
    """Twenty workers less can't be had of three."""
    with pytest.raises(ValueError, match="20 rounds of remove leave fewer than 2 or more than 5 workers"):
        make(seed=1, rounds=20, workers=3, events=1_000, kinds=[Kind.REMOVE])


def test_a_run_is_as_long_as_its_rounds() -> None:
    """Upstream's rate rests on it: a round that waits for a session's end takes that session's time."""
    short, long = (
        seconds(make(seed=1, rounds=10, workers=3, events=1_000, kinds=[Kind.STOP]), session_timeout_s=timeout)
        for timeout in (6.0, 12.0)
    )
    assert long - short == pytest.approx(10 * 6.0)
