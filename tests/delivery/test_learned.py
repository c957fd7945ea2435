"""What is learned from replies: any sequence of them keeps the bounds, and a hidden limit is found and held."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.delivery.flow import FLOW_S
from streams.delivery.learned import BLOCKED_S, FAR, FEW, FLOOR_PER_S, NEAR, PAUSE_S, RECOVERY_S, SHUT, Learned
from streams.delivery.shaping import Limits
from tests.delivery.throttlers import Throttler, bucket, fixed, run, sliding

LIMITS = st.none() | st.floats(0.1, 1000)
EVENTS = st.lists(st.tuples(st.floats(0, 50), st.sampled_from(["accepted", "throttled", "unknown"])), max_size=200)


@given(limit=LIMITS, events=EVENTS)
def test_the_rate_stays_within_its_bounds_whatever_comes(limit: float | None, events: list[tuple[float, str]]) -> None:
    """Never above the configured limit nor below the floor; a throttled reply never raises it."""
    learned, now = Learned(limit, 0.0), 0.0
    for passed, what in events:
        now = max(now, learned.waits_until()) + passed
        learned.sent(now)
        before = learned.rate()
        if what == "accepted":
            learned.accepted(now + 0.1, began=now)
        elif what == "unknown":
            learned.unknown(began=now)
        else:
            assert learned.throttled(now + 0.1, began=now)
            assert before is None or (learned.rate() or 0) <= before
            assert learned.waits_until() >= now + 0.1 + PAUSE_S
        rate = learned.rate()
        assert rate is None or rate + 1e-9 >= FLOOR_PER_S
        assert limit is None or (rate is not None and rate <= max(limit, FLOOR_PER_S))
        assert (learned.health(now) == "good") == (rate == limit)
        now += 0.1


def test_what_was_begun_before_the_fall_is_no_news() -> None:
    """Ten on their way when the first comes back throttled: the rate falls once."""
    learned = Learned(50, 0.0)
    for number in range(100):
        learned.sent(number / 50)
    assert learned.throttled(2.0, began=1.9)
    rate = learned.rate()
    assert rate == pytest.approx(FAR * 50, rel=0.1)
    assert not any(learned.throttled(2.0 + number / 100, began=1.95) for number in range(10))
    assert learned.rate() == rate


@pytest.mark.parametrize("limit", [None, 50.0])
def test_one_throttled_reply_in_a_quiet_minute_teaches_no_rate(limit: float | None) -> None:
    """All wait two seconds; the campaign that comes then goes at full rate.  Another within the minute is believed."""
    for again_s, believed in ((RECOVERY_S - 10, True), (RECOVERY_S + 10, False)):
        learned = Learned(limit, 0.0)
        for began in (1.0, 1.0 + again_s):
            learned.sent(began)
            assert learned.throttled(began + 0.1, began=began)
            assert learned.waits_until() == pytest.approx(began + 0.1 + PAUSE_S)
            if began == 1.0:
                assert learned.rate() == limit and learned.health(began + 1) == "good"
                learned.sent(5.0)
                learned.accepted(5.1, began=5.0)
        assert (learned.rate() != limit) is believed


def test_two_throttled_replies_in_a_quiet_minute_teach_no_trickle() -> None:
    """Of two messages nobody can tell less than two a second; a third reply says that it is less."""
    learned, rates = Learned(None, 0.0), list[float]()
    for began in (1.0, 31.0, 61.0):
        learned.sent(began)
        assert learned.throttled(began + 0.1, began=began)
        rates.append(learned.rate() or math.inf)
        learned.sent(began + 4)
        learned.accepted(began + 4.1, began=began + 4)
    assert rates[0] == math.inf
    assert rates[1] == pytest.approx(FAR * FEW / FLOW_S)
    assert rates[2] < 0.5


def test_after_a_wait_one_message_asks() -> None:
    """The others wait for its answer; where it got none, another one asks."""
    learned = Learned(None, 0.0)
    learned.sent(1.0)
    learned.throttled(1.1, began=1.0)
    assert not learned.asks
    learned.sent(3.2)
    assert learned.asks
    learned.unknown(began=3.2)
    assert not learned.asks
    learned.sent(4.0)
    learned.accepted(4.1, began=4.0)
    learned.sent(4.2)
    assert not learned.asks


def test_who_was_begun_anew_while_all_is_blocked_keeps_nobody_waiting() -> None:
    """A send in doubt that is sent again asks for nobody: when the block is over, one message asks."""
    learned, now = Learned(40, 0.0), 0.0
    while learned.health(now) != "blocked":
        now = max(now, learned.waits_until()) + 0.1
        learned.sent(now)
        learned.throttled(now + 0.01, began=now)
        now += 0.02
    learned.sent(now)
    assert not learned.throttled(now + 0.1, began=now)
    assert not learned.asks


def test_a_door_that_stays_shut_is_blocked_for_longer_each_time_and_comes_back_at_an_eighth() -> None:
    """One message asks after 2, 4, … 64 s; then none for 5 minutes, 10, … an hour at most; the rate is what it was."""
    learned, now = Learned(40, 0.0), 0.0
    for _ in range(400):
        now += 1 / 40
        learned.sent(now)
        learned.accepted(now, began=now)
    asked, blocked = 0, list[float]()
    while len(blocked) < 6:
        now = max(now, learned.waits_until()) + 0.01
        learned.sent(now)
        learned.throttled(now, began=now)
        asked += 1
        if learned.health(now) == "blocked":
            blocked.append(learned.blocked_s(now))
    assert asked == 6 * (SHUT + 1)
    assert blocked == pytest.approx([BLOCKED_S, 600, 1200, 2400, 3600, 3600])
    now = learned.waits_until() + 0.01
    assert learned.health(now) == "throttled"
    learned.sent(now)
    learned.accepted(now, began=now)
    assert learned.rate() == pytest.approx(40 / 8, rel=0.1)


def test_another_owner_goes_on_where_the_former_was() -> None:
    """A rebalance does not meet the provider at full rate."""
    learned = Learned(50, 0.0)
    learned.resume(4.5, 50)
    assert learned.rate() == pytest.approx(4.5)
    for number in range(2000):
        learned.sent(float(number))
        learned.accepted(float(number), began=float(number))
    assert (learned.rate() or 0) > 4.5 / NEAR


KINDS = {
    "a bucket of one second": lambda limit: bucket(limit, 1),
    "a bucket of a fifth of a second": lambda limit: bucket(limit, 0.2),
    "a bucket of ten seconds": lambda limit: bucket(limit, 10),
    "any ten seconds": lambda limit: sliding(limit, 10),
    "each minute": lambda limit: fixed(limit, 60),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_hidden_limit_is_held_from_the_third_minute_on(kind: str, seed: int) -> None:
    """85 to 100 % of it with less than 1 % of the replies throttled, however the receiver counts; 2 to 40 a second."""
    draw = random.Random(seed)
    limit, rtt_s = round(2 * 20 ** draw.random()), draw.choice([0.02, 0.3])
    seen = run(KINDS[kind](limit), seconds=600, seed=seed, rtt_s=rtt_s)
    assert 0.85 <= seen.held(limit, 180, 600) <= 1.01, (limit, rtt_s)
    assert seen.share(180, 600) < 0.01, (limit, rtt_s)


def test_a_limit_that_changes_is_followed() -> None:
    """Raised fourfold it is found within six minutes, lowered to a quarter within one."""

    def changing(now: float) -> bool:
        return (low, high, lower)[int(now // 600)](now)

    low, high, lower = bucket(5, 1), bucket(20, 1), bucket(5, 1)
    seen = run(changing, seconds=1800)
    assert seen.held(20, 960, 1200) > 0.85
    assert seen.held(5, 1260, 1800) > 0.85
    assert seen.share(1260, 1800) < 0.01


def test_a_configured_limit_above_the_hidden_one_is_left_and_one_below_is_kept() -> None:
    """Nothing is throttled where the configured rate is modest."""
    above = run(bucket(20, 1), seconds=600, limits=Limits(messages_per_s=50))
    assert above.held(20, 180, 600) > 0.85
    below = run(bucket(200, 1), seconds=120, limits=Limits(messages_per_s=50))
    assert sum(below.throttled) == 0
    assert below.held(50, 10, 120) > 0.95


def test_a_provider_that_refuses_all_for_ten_minutes_costs_little_and_is_found_open_again() -> None:
    """Less than 1 of 600 seconds' messages is thrown at a shut door, and within ten minutes all goes as before."""
    open_: Throttler = bucket(20, 1)
    seen = run(lambda now: not 300 <= now < 900 and open_(now), seconds=1800)
    assert sum(seen.throttled[300:1200]) < 30
    assert seen.held(20, 1560, 1800) > 0.85
