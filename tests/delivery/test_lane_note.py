"""What stands beside a lane's committed offset can be read back, also by who knows an older form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Lane
from streams.delivery.journal import LaneBook
from streams.delivery.lane_note import LaneNote


@given(checkpoint=st.integers(0, 2**63 - 1), begun=st.integers(0, 2**60), still_open=st.integers(0, 5))
def test_a_lane_s_note_says_how_far_it_was_begun_and_what_is_open(checkpoint: int, begun: int, still_open: int) -> None:
    """Behind the checkpoint's offset, as the outbox names it."""
    book = LaneBook(Lane(next=begun))
    for offset in range(begun, begun + still_open + 1):
        book.begin(offset)
    book.done(begun + still_open)
    note = LaneNote.read(f"{checkpoint}{book.note}")
    assert note == LaneNote(checkpoint=checkpoint, begun=begun + still_open + 1, open=still_open)


def test_what_was_committed_before_there_was_a_note_names_the_checkpoint_alone() -> None:
    """As versions before wrote it."""
    assert LaneNote.read("17") == LaneNote(checkpoint=17)


@pytest.mark.parametrize("metadata", ["", "x", "17/", "17/2", "17/2/", "17/2/3/", "-1", "17/2/x", " 17", "17\n"])
def test_what_is_not_ours_is_no_note(metadata: str) -> None:
    """Nothing committed, or an operator's reset, which writes its own."""
    assert LaneNote.read(metadata) is None
