"""The fuse: what a few bad events may do, and what a bad deploy may not."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.errors import FuseBlownError, TransactionAbortedError
from streams.runtime.partition.fuse import LATEST, MINIMUM, Fuse

SHARE = 0.2


def test_the_first_failure_of_a_quiet_day_blows_nothing() -> None:
    """One of one is no share."""
    fuse = Fuse(SHARE)
    fuse.admit(events=1, failed=1)
    assert fuse.share == 1 / MINIMUM


def test_a_worker_for_which_all_fails_stops_within_a_few_events() -> None:
    """Ten of the first fifty are allowed, the eleventh is not, and says what to do."""
    fuse = Fuse(SHARE)
    for _ in range(10):
        fuse.admit(events=1, failed=1)
    with pytest.raises(FuseBlownError, match=r"11 of the latest 11 .* EVENPOST_WORKER__FUSE_SHARE=1"):
        fuse.admit(events=1, failed=1)
    fuse.admit(events=1, failed=0)  # what blows is not counted, and what is good goes through


def test_a_batch_in_which_all_fails_is_not_committed() -> None:
    """A full batch of a bad deploy turns into no letter at all."""
    with pytest.raises(FuseBlownError):
        Fuse(SHARE).admit(events=500, failed=500)


def test_one_tenants_events_that_trip_a_defect_are_few_among_all() -> None:
    """15 in a row among 500 blow nothing, though they would be most of the first 50."""
    fuse = Fuse(SHARE)
    fuse.admit(events=500, failed=15)
    assert fuse.share == pytest.approx(0.03)


def test_a_share_of_one_lets_everything_through() -> None:
    """What the operator asks for."""
    fuse = Fuse(1.0)
    for _ in range(20):
        fuse.admit(events=500, failed=500)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=16))
def test_letters_are_never_more_than_the_share_of_what_was_admitted(batches: list[tuple[int, int]]) -> None:
    """Counted aside, within one window of events: whatever comes in whatever batches."""
    fuse = Fuse(SHARE)
    admitted = letters = 0
    for events, bad in batches:
        with contextlib.suppress(FuseBlownError):
            fuse.admit(events=events, failed=min(events, bad))
            admitted, letters = admitted + events, letters + min(events, bad)
    assert admitted < LATEST
    assert letters <= SHARE * max(admitted, MINIMUM)
    assert fuse.share == pytest.approx(letters / max(admitted, MINIMUM))


def test_a_batch_that_does_not_happen_is_not_counted_however_often_it_is_tried() -> None:
    """Aborts are the broker's: one bad event that is decided again with each stops no healthy worker."""
    fuse = Fuse(SHARE)
    for _ in range(100):
        with pytest.raises(TransactionAbortedError), fuse.weighed(events=1, failed=1):
            raise TransactionAbortedError("gate-0", "the broker is away")
    assert fuse.share == 0
    with fuse.weighed(events=1, failed=1):
        pass
    assert fuse.share == 1 / MINIMUM


def test_what_other_partitions_are_committing_is_weighed_as_well() -> None:
    """Else each of them could turn ten events of a bad deploy into letters at once."""
    fuse = Fuse(SHARE)
    with fuse.weighed(events=10, failed=10):
        with pytest.raises(FuseBlownError), fuse.weighed(events=1, failed=1):
            pass
        assert fuse.share == 0
    assert fuse.share == 10 / MINIMUM
