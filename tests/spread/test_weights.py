"""The weight of a sending IP follows from what is said of it, and says when it may change by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Condition, Control, Egress, Via, Warmup, WarmupDay
from streams.spread import weights
from streams.spread.weights import CONDITION_S, NEVER, Said, Weighed, weigh

NOW = datetime(2026, 12, 1, 4, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 12, 2, tzinfo=UTC)


def egress(**fields: Any) -> Egress:
    """Slot 3, weight 2."""
    return msgspec.structs.replace(
        Egress(slot=3, via=Via(kind="bind", address="192.0.2.3"), ehlo="m3.example", weight=2.0), **fields
    )


def control(**fields: Any) -> Control:
    """An operator's suspension of slot 3."""
    return msgspec.structs.replace(
        Control(target="slot", key="3", state="suspended", by="ana", reason="listed", at=NOW), **fields
    )


def condition(**fields: Any) -> Condition:
    """Throttled at gmail to half of 10 a second."""
    return msgspec.structs.replace(
        Condition(slot=3, provider="gmail", health="throttled", at=NOW, rate_per_s=5.0, limit_per_s=10.0), **fields
    )


def warmup_day(**fields: Any) -> WarmupDay:
    """Day two at gmail: 75 mails."""
    return msgspec.structs.replace(
        WarmupDay(
            slot=3, provider="gmail", day="2026-12-01", stage=1, allowance=75, weight=0.25, reason="1 good day", at=NOW
        ),
        **fields,
    )


PLAN = Warmup(started_at=NOW - timedelta(days=1), initial_per_day=50)


def at_gmail(now: datetime = NOW, **said: Any) -> Weighed:
    """The weight of slot 3 at gmail."""
    return weigh(Said(**({"egress": egress()} | said)), "gmail", now)


def test_an_ip_of_which_nothing_is_said_has_its_own_weight_for_good() -> None:
    """No clock changes it."""
    assert at_gmail() == Weighed(weight=2.0, changes_at=NEVER)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"egress": egress(state="drained")}, "egress state is drained"),
        ({"egress": egress(weight=0.0)}, "its weight is 0"),
        ({"controls": (control(),)}, "suspended by ana: listed"),
        ({"controls": (control(provider="gmail"),)}, "suspended by ana: listed"),
        ({"held": True}, "its sender stands still"),
        ({"condition": condition(health="blocked", evidence="550 blocked")}, "blocked: 550 blocked"),
        (
            {"egress": egress(warmup=Warmup(started_at=MIDNIGHT))},
            "its warm-up begins at 2026-12-02T00:00:00+00:00",
        ),
    ],
)
def test_what_leaves_an_ip_out_is_told_in_words(said: dict[str, Any], why: str) -> None:
    """Weight 0 has a reason."""
    found = at_gmail(**said)
    assert (found.weight, found.closed) == (0.0, why)


def test_a_control_counts_until_its_time_is_up_and_for_its_provider_alone() -> None:
    """The weight is back at the moment of `until`, which is when it says it changes."""
    until = NOW + timedelta(minutes=5)
    stop = (control(until=until, provider="gmail"),)
    assert at_gmail(controls=stop).weight == 0.0
    assert at_gmail(controls=stop).changes_at == until
    assert at_gmail(until, controls=stop).weight == 2.0
    assert weigh(Said(egress=egress(), controls=stop), "docomo", NOW).weight == 2.0
    assert weigh(Said(egress=egress(), controls=stop), "", NOW).weight == 2.0


def test_a_control_that_slows_takes_that_part_of_the_share() -> None:
    """As of the sender's rate; of several the smallest part stands."""
    slow = (control(slow_to=0.5), control(slow_to=0.25, provider="gmail"))
    assert at_gmail(controls=slow).weight == 0.5 and at_gmail(controls=slow).slowed == 0.25
    assert weights.slowed_to(slow, "gmail", NOW) == 0.25
    assert weights.slowed_to(slow, "docomo", NOW) == 0.5


def test_a_throttled_ip_has_a_part_of_its_weight_while_its_sender_says_so() -> None:
    """Half of the limit is half of the weight; three missed reports of 30 s end it."""
    found = at_gmail(condition=condition())
    assert (found.weight, found.condition, found.changes_at) == (1.0, 0.5, NOW + timedelta(seconds=90))
    assert at_gmail(NOW + timedelta(seconds=90), condition=condition()).weight == 2.0


@given(st.floats(0, 20), st.floats(0.01, 10))
def test_a_condition_takes_one_of_seven_steps_near_the_learned_part(rate: float, limit: float) -> None:
    """Within a factor of 3/4 to 3/2 of the part, a 64th at least, never more than the whole."""
    factor, _ = weights.condition_factor(condition(rate_per_s=rate, limit_per_s=limit), NOW)
    assert factor in {1 / 2**step for step in range(7)}
    part = min(1.0, rate / limit)
    assert factor == 1 / 64 or 2 / 3 * factor <= part + 1e-9
    assert part <= factor * 1.5 + 1e-9


def test_one_ip_that_is_throttled_hard_leaves_its_pool_more_than_half() -> None:
    """Sixteen at 50 a second, one of which takes 0.5: by its share of the weights it bounds what the pool may send."""
    slow, _ = weights.condition_factor(condition(rate_per_s=0.5, limit_per_s=50.0), NOW)
    assert 0.5 * (15 + slow) / slow > 0.5 * 15 * 50


def test_a_condition_without_a_limit_or_a_rate_lowers_nothing() -> None:
    """There is nothing to compare with."""
    assert at_gmail(condition=condition(limit_per_s=None)).weight == 2.0
    assert at_gmail(condition=condition(rate_per_s=None)).weight == 2.0


def test_a_condition_from_beyond_the_calendar_lowers_nothing_and_stops_nobody() -> None:
    """Whatever stands in the topic, its pool is weighed (G8)."""
    nonsense = condition(at=datetime.max.replace(tzinfo=UTC), rate_per_s=1.0, limit_per_s=8.0)
    assert at_gmail(condition=nonsense).condition == 1.0


def test_a_block_ends_when_its_sender_said() -> None:
    """At `until` it gets its mail again, however old the word is."""
    until = NOW + timedelta(hours=2)
    blocked = condition(health="blocked", until=until)
    assert at_gmail(until - timedelta(seconds=1), condition=blocked).weight == 0.0
    assert at_gmail(until, condition=blocked).weight == 2.0
    unbounded = condition(health="blocked")  # its sender says so again each 30 s, while there is one
    assert at_gmail(NOW + timedelta(seconds=CONDITION_S - 1), condition=unbounded).weight == 0.0
    assert at_gmail(NOW + timedelta(seconds=CONDITION_S), condition=unbounded).weight == 2.0


def test_a_warming_ip_has_todays_weight_and_allowance() -> None:
    """Both until midnight in UTC; until the next day's word, what that will allow at least: it may step back."""
    warming = egress(warmup=PLAN)
    found = at_gmail(egress=warming, warmup=warmup_day())
    assert (found.weight, found.allowance, found.changes_at) == (0.5, 75, MIDNIGHT)
    later = at_gmail(MIDNIGHT + timedelta(hours=1), egress=warming, warmup=warmup_day())
    assert (later.weight, later.allowance) == (0.5, 50)
    warm = at_gmail(egress=warming, warmup=warmup_day(stage=None, allowance=None, weight=1.0))
    assert (warm.weight, warm.allowance) == (2.0, None)


def test_a_warming_ip_begins_with_its_first_days_allowance_before_control_speaks() -> None:
    """Also when the word that stands is on an earlier warm-up of the slot."""
    warming = egress(warmup=PLAN)
    before = warmup_day(at=PLAN.started_at - timedelta(days=30), stage=None, allowance=None, weight=1.0)
    for word in (None, before):
        found = at_gmail(egress=warming, warmup=word)
        assert (found.weight, found.allowance) == (2.0 / 16, 50)


def test_an_ip_that_does_not_warm_up_has_no_allowance() -> None:
    """What the ledger said in an earlier warm-up is of no account."""
    assert at_gmail(warmup=warmup_day()) == Weighed(weight=2.0, changes_at=NEVER)
