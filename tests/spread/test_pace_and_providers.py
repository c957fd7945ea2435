"""Buckets spend a pace, providers name a domain."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.spread.pace import IDLE_S, Bucket, share_of_first
from streams.spread.providers import PROVIDERS, provider_of

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@given(rate=st.floats(0.05, 500), steps=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 900)), max_size=30))
def test_a_bucket_never_overspends(rate: float, steps: list[tuple[int, int]]) -> None:
    """Over any run from the start, no more is spent than the first token, the time's worth and one burst."""
    bucket, now, spent = Bucket(NOW), NOW, 0
    for wait_ms, wish in steps:
        now += timedelta(milliseconds=wait_ms)
        spent += sum(bucket.take(rate, now) for _ in range(wish))
        assert spent <= 1 + rate * (now - NOW).total_seconds() + 1e-6


@given(rate=st.floats(0.05, 500))
def test_ready_at_is_when_take_succeeds(rate: float) -> None:
    """A drained bucket says when it has credit: then it has, and half way there it had not."""
    bucket = Bucket(NOW)
    while bucket.take(rate, NOW):
        pass
    ready = bucket.ready_at(rate, NOW)
    assert not bucket.take(rate, NOW + (ready - NOW) / 2)
    assert bucket.take(rate, ready)


@pytest.mark.parametrize("rate", [1e-12, 1e-300])
def test_a_pace_that_outlasts_the_calendar_still_has_a_next_time(rate: float) -> None:
    """One campaign's absurd pace gives a time to ask again, not an error that would stop its partition."""
    bucket = Bucket(NOW)
    assert bucket.take(rate, NOW)
    assert bucket.ready_at(rate, NOW) <= NOW + timedelta(days=1, seconds=1)


def test_idle_time_is_worth_one_second_at_most() -> None:
    """After an hour's silence a pace of 10/s gives ten at once, not 36,000."""
    bucket, later = Bucket(NOW), NOW + timedelta(hours=1)
    assert sum(bucket.take(10.0, later) for _ in range(100)) == 10


def test_a_slow_pace_is_met_by_a_gate_that_looks_seldom() -> None:
    """Each 40 s, where the bucket's first send was paid for by another partition: one goes at each look."""
    bucket = Bucket(NOW, first=0.05)
    assert sum(bucket.take(0.5, NOW + timedelta(seconds=40 * look)) for look in range(1, 11)) == 10


@given(partitions=st.integers(1, 24), pace=st.floats(0.2, 5), looks=st.integers(1, 600), name=st.text(max_size=9))
def test_buckets_of_all_partitions_let_go_as_one_would(partitions: int, pace: float, looks: int, name: str) -> None:
    """From the beginning, and again after a silence: within two sends, and a second's, of the pace at any time."""
    buckets = [Bucket(NOW, first=share_of_first(partition, name)) for partition in range(partitions)]
    rate, now = pace / partitions, NOW
    for _ in range(2):
        spent, began = 0, now
        for _ in range(looks):
            now += timedelta(seconds=0.1)
            spent += sum(1 for bucket in buckets for _ in iter(partial(bucket.take, rate, now), False))
            assert abs(spent - pace * (now - began).total_seconds()) <= 2 + pace
        now += timedelta(seconds=max(IDLE_S, 1.5 / rate))


def test_a_domain_belongs_to_its_nearest_listed_parent() -> None:
    """Subdomains follow their parent, overrides win, the rest is `other`."""
    assert provider_of("docomo.ne.jp", {}) == "docomo"
    assert provider_of("mail.gmail.com", {}) == "gmail"
    assert provider_of("notgmail.com", {}) == "other"
    assert provider_of("docomo.example", {"docomo.example": "docomo"}) == "docomo"
    assert provider_of("gmail.com", {"gmail.com": "corp"}) == "corp"
    assert {"gmail", "microsoft", "yahoo", "icloud", "docomo", "au", "softbank", "rakuten", "other"} <= PROVIDERS
