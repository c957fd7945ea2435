"""Finding the event whose record no broker takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.errors import RecordRefusedError
from streams.runtime.partition.halving import HOLD_S, Halving

REFUSED = RecordRefusedError("gate-0", "too large")


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=5))))
def test_just_the_events_that_are_refused_are_rejected(case: tuple[int, set[int]]) -> None:
    """Wherever they stand among however many: all others go through, in order, within a bounded number of tries."""
    events, culprits = case
    waiting, went, rejected = list(range(events)), list[int](), list[int]()
    halving = Halving(batch=500, release=300)
    tries = 0
    while waiting:
        tries += 1
        batch = waiting[: halving.batch]
        now_rejected = {halving.refused.message} if halving.refused is not None else set()
        released = halving.release(0.0)
        if (culprits & set(batch)) - now_rejected:
            halving.halve(batch, REFUSED, released=released, now=0.0)
            continue
        halving.went(len(batch))
        went += batch
        rejected += [event for event in batch if event in now_rejected]
        waiting = waiting[len(batch) :]
    assert went == list(range(events))
    assert rejected == sorted(culprits)
    assert tries <= 1 + events + 12 * len(culprits)
    assert (halving.batch, halving.release(0.0)) == (500, 300)


def test_a_rejection_that_is_refused_is_followed_by_a_burial_and_then_by_the_error() -> None:
    """A burial is bounded by its topic: that it is refused is a defect, and the worker says so."""
    halving = Halving(batch=500, release=300)
    halving.halve(["a"], REFUSED, released=300, now=0.0)
    assert halving.refused is None  # what was released beside it may be the reason
    halving.halve(["a"], REFUSED, released=0, now=0.0)
    assert halving.refused is not None
    assert halving.refused.end == "rejected"
    halving.halve(["a"], REFUSED, released=0, now=0.0)
    assert halving.refused.end == "buried"
    with pytest.raises(RecordRefusedError):
        halving.halve(["a"], REFUSED, released=0, now=0.0)


def test_what_waits_and_is_refused_holds_up_no_event() -> None:
    """Less and less is released, then nothing for a while; events go through meanwhile."""
    halving = Halving(batch=500, release=300)
    for _ in range(20):
        released = halving.release(0.0)
        if not released:
            break
        halving.halve([], REFUSED, released=released, now=0.0)
    assert halving.release(HOLD_S - 1) == 0
    assert halving.batch == 500
    assert halving.release(HOLD_S) == 1
