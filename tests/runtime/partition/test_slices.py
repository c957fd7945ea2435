"""A batch holds no more than is decided within a slice of the loop's time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.partition.slices import LEAST, SLICE_S, Slices


def test_quick_events_fill_whole_batches_and_slow_ones_slices() -> None:
    """20 us each are 500 events, 200 us are 100; whatever they cost, so many at least."""
    for each_s, batch in ((20e-6, 500), (40e-6, 500), (200e-6, 100), (500e-6, 40), (10e-3, LEAST)):
        slices = Slices(500)
        assert slices.batch == 500
        slices.took(500, 500 * each_s)
        assert abs(slices.batch - batch) <= 1


def test_one_slow_batch_is_no_new_rate() -> None:
    """A collection of garbage in the middle of it; when it is slow for good, that counts."""
    slices = Slices(500)
    for _ in range(20):
        slices.took(100, 100 * 200e-6)
    slices.took(100, 100 * 400e-6)
    assert 80 < slices.batch < 100
    for _ in range(20):
        slices.took(50, 50 * 400e-6)
    assert abs(slices.batch - SLICE_S / 400e-6) < 5


@given(st.integers(1, 500), st.lists(st.tuples(st.integers(0, 500), st.floats(-1, 100)), max_size=20))
def test_a_batch_is_never_empty_nor_above_its_most(most: int, took: list[tuple[int, float]]) -> None:
    """Whatever a clock says."""
    slices = Slices(most)
    for events, seconds in took:
        slices.took(events, seconds)
        assert 1 <= slices.batch <= most
