"""When to try again: by class, within the mail's life, spread by jitter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.delivery import replies, retry
from streams.delivery.retry import JITTER_SHARE, next_due, schedule

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY = NOW + timedelta(days=1)
classes = st.sampled_from(sorted({*replies._tables().class_, "some later class"}))


def minutes(class_: str, attempt: int) -> float:
    """The wait after this attempt, without jitter."""
    due = next_due(class_, attempt=attempt, now=NOW, expire_at=NOW + timedelta(days=9), jitter=0, scale=1)
    assert due is not None
    return (due - NOW).total_seconds() / 60


def test_each_class_has_its_own_pace() -> None:
    """Greylisting soon, throttling doubles, a full mailbox in hours."""
    assert [minutes("greylisted", attempt) for attempt in (1, 2)] == [5, 10]
    assert [minutes("throttled", attempt) for attempt in (1, 2, 3)] == [5, 10, 20]
    assert minutes("mailbox_full", 1) == 60
    assert minutes("connection_failed", 1) == 2


def test_the_last_delay_repeats() -> None:
    """Attempt 50 waits as long as the last one listed, and an unknown class has the default's schedule."""
    assert minutes("throttled", 50) == minutes("throttled", 5)
    assert schedule("some later class") == schedule("other_soft") == schedule("default")


def test_too_late_is_none() -> None:
    """A try exactly at the end is still made, one after it is not."""
    at = {"attempt": 1, "now": NOW, "jitter": 0.0, "scale": 1.0}
    assert next_due("greylisted", expire_at=NOW + timedelta(minutes=5), **at) == NOW + timedelta(minutes=5)
    assert next_due("greylisted", expire_at=NOW + timedelta(minutes=5, seconds=-1), **at) is None
    assert next_due("greylisted", expire_at=NOW - timedelta(days=1), **at) is None


@given(classes, st.integers(1, 100), st.floats(0, 1, exclude_max=True), st.floats(1e-3, 10))
def test_a_due_time_lies_ahead_within_jitter_and_expiry(class_: str, attempt: int, jitter: float, scale: float) -> None:
    """Never now, never past the end, at most a quarter above the table."""
    due = next_due(class_, attempt=attempt, now=NOW, expire_at=DAY, jitter=jitter, scale=scale)
    delays = schedule(class_)
    base = delays[min(attempt, len(delays)) - 1] * scale
    if due is None:
        assert base * (1 + JITTER_SHARE) > 86_400
    else:
        assert base - 1e-5 <= (due - NOW).total_seconds() <= base * (1 + JITTER_SHARE) + 1e-5
        assert NOW < due <= DAY


def test_every_schedule_names_a_class_that_exists() -> None:
    """A misspelt class would fall to the default in silence."""
    assert retry._table().keys() - {"default", retry.IP_REFUSED} <= replies._tables().class_.keys()


@pytest.mark.parametrize("bad", [{"attempt": 0}, {"jitter": 1.0}, {"jitter": -0.1}, {"scale": 0.0}])
def test_wrong_arguments_are_refused(bad: dict[str, float]) -> None:
    """A caller's mistake is told, not scheduled."""
    at = {"attempt": 1, "now": NOW, "expire_at": DAY, "jitter": 0.0, "scale": 1.0} | bad
    with pytest.raises(ValueError, match="must be"):
        next_due("greylisted", **at)
