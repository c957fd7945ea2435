"""When the next transaction begins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.partition.window import PER_EVENT_S, WINDOW_S, wait_s

FULL = 500


def test_an_idle_partition_waits_for_nothing() -> None:
    """Whatever the last batch held: after a pause the next begins at once."""
    assert wait_s(since_last_s=WINDOW_S, last_events=FULL, waiting=1, full=FULL) == 0


def test_single_events_follow_one_another_without_a_wait() -> None:
    """After a batch of one, which took a commit's 11 ms, the next begins at once."""
    assert wait_s(since_last_s=0.011, last_events=1, waiting=1, full=FULL) == 0


def test_a_busy_partition_gathers_for_a_window() -> None:
    """50 ms from the beginning of one batch to the next."""
    assert wait_s(since_last_s=0.02, last_events=100, waiting=10, full=FULL) == WINDOW_S - 0.02


def test_a_full_batch_does_not_wait() -> None:
    """More than a batch's worth gains nothing by gathering."""
    assert wait_s(since_last_s=0.0, last_events=FULL, waiting=FULL, full=FULL) == 0


@given(st.floats(0, 100), st.integers(0, FULL), st.integers(0, FULL))
def test_no_event_waits_longer_than_the_window(since: float, last: int, waiting: int) -> None:
    """Never below 0, never past 50 ms after the last batch began, and never longer than its events say."""
    wait = wait_s(since_last_s=since, last_events=last, waiting=waiting, full=FULL)
    assert 0 <= wait <= max(0.0, min(WINDOW_S, last * PER_EVENT_S) - since)
