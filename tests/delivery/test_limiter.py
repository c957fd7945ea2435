"""One slot at one provider: connections, rate and day, for any sequence of attempts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.delivery.limiter import BURST_S, Limiter, Reply
from streams.delivery.shaping import Limits

STEPS = st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["open", "throttled", "none", "later"])), max_size=300)


@given(rate=st.floats(0.2, 50), connections=st.integers(1, 5), steps=STEPS)
def test_no_second_has_more_than_its_rate_and_no_moment_more_than_its_connections(
    rate: float, connections: int, steps: list[tuple[float, str]]
) -> None:
    """Whoever asks first and goes only then keeps all limits, whatever comes back when."""
    limiter = Limiter(Limits(connections=connections, messages_per_s=rate), connections=99, now=0.0)
    now, went, under_way = 0.0, list[float](), list[float]()
    for passed, what in steps:
        now += passed
        if limiter.wait_s(now, day=1) == 0:
            limiter.begin(now)
            went.append(now)
            under_way.append(now)
        if under_way and what != "later":
            reply: Reply = what  # type: ignore[assignment]  # one of the three that are left
            limiter.end(now, began=under_way.pop(0), reply=reply)
        assert limiter.under_way == len(under_way) <= connections
    for begin in went:
        within = sum(begin <= one < begin + 1 for one in went)
        assert within <= rate + max(1.0, BURST_S * rate) + 1


def test_it_says_when_the_next_may_go() -> None:
    """After its part of a second; never while all connections are taken, or when the day's messages are used up."""
    limiter = Limiter(Limits(messages_per_s=4, messages_per_day=3), connections=2, now=0.0)
    assert limiter.wait_s(0.0, day=1) == 0
    limiter.begin(0.0)
    assert limiter.wait_s(0.1, day=1) == pytest.approx(0.15, abs=1e-5)
    limiter.begin(0.25)
    assert limiter.wait_s(9.0, day=1) == math.inf
    limiter.end(9.0, began=0.0, reply="open")
    limiter.end(9.0, began=0.25, reply="none")
    limiter.begin(9.0)
    limiter.begin(9.25)
    assert limiter.today == 3
    limiter.end(9.5, began=9.0, reply="open")
    limiter.end(9.5, began=9.25, reply="open")
    assert limiter.wait_s(10.0, day=1) == math.inf
    assert limiter.spent(1)
    assert limiter.wait_s(10.0, day=2) == 0
    assert limiter.today == 0


def test_what_began_yesterday_and_reached_nobody_gives_today_no_place_more() -> None:
    """A day's messages are counted where they begin; over midnight there is nothing to take back."""
    limiter = Limiter(Limits(messages_per_day=1), connections=10, now=0.0)
    assert not limiter.spent(1)
    limiter.begin(0.0)
    assert not limiter.spent(2)
    limiter.end(1.0, began=0.0, reply="none")
    limiter.begin(2.0)
    assert limiter.spent(2)
    limiter.end(3.0, began=0.0, reply="none", day=1)
    assert limiter.spent(2), "today's place is taken by what began today"


def test_a_clock_that_is_set_back_over_midnight_begins_no_day_anew() -> None:
    """Neither the earlier day nor, when it is right again, the later; one that was wrong by more does."""
    limiter = Limiter(Limits(messages_per_day=1), connections=10, now=0.0)
    assert not limiter.spent(2)
    limiter.begin(0.0)
    assert [limiter.spent(day) for day in (2, 1, 2)] == [True, True, True]
    assert not limiter.spent(3)
    limiter.begin(1.0)
    assert not limiter.spent(1), "of a day that is not the one before it, nothing is known"


def test_without_a_rate_nothing_waits() -> None:
    """Until a reply teaches one; then all wait, and one asks."""
    limiter = Limiter(Limits(), connections=100, now=0.0)
    for _ in range(100):
        assert limiter.wait_s(0.0, day=1) == 0
        limiter.begin(0.0)
    for number in range(100):
        assert limiter.end(0.1, began=0.0, reply="throttled") == (number == 0)
    assert limiter.wait_s(0.1, day=1) == 2.0
    assert limiter.wait_s(2.11, day=1) == 0
    limiter.begin(2.11)
    assert limiter.wait_s(3.0, day=1) == math.inf
    limiter.end(3.0, began=2.11, reply="open")
    assert limiter.wait_s(3.0, day=1) < 1
