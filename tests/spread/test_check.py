"""The checker agrees with the definition, computed the slow way."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.spread.check import Segment, window_deviations, worst_of_length, worst_window_deviation

slots_strategy = st.lists(st.integers(0, 3), max_size=14)
weights_strategy = st.lists(st.floats(0.1, 5), min_size=3, max_size=3).map(lambda found: dict(enumerate(found)))
FLOAT_NOISE = 1e-9


def shares(weights: dict[int, float]) -> list[float]:
    """Those of slots 0 to 3, of which the last has no weight at all."""
    return [weights.get(slot, 0.0) / sum(weights.values()) for slot in range(4)]


def windows(moves: list[list[float]]) -> Iterator[tuple[int, float]]:
    """(length, largest deviation) of each window, from what each deal adds to each slot's deviation."""
    for start in range(len(moves) + 1):
        for end in range(start, len(moves) + 1):
            yield end - start, max(abs(sum(move[slot] for move in moves[start:end])) for slot in range(4))


def moved(slots: list[int], weights: dict[int, float]) -> list[list[float]]:
    """What each deal adds to each slot's count, less its share."""
    return [[(slot == one) - share for slot, share in enumerate(shares(weights))] for one in slots]


@given(slots=slots_strategy, weights=weights_strategy)
def test_it_is_the_worst_of_all_windows(slots: list[int], weights: dict[int, float]) -> None:
    """Prefix extremes give the same as looking at each window and each slot."""
    slow = max(worst for _, worst in windows(moved(slots, weights)))
    assert abs(worst_window_deviation(slots, weights) - slow) < FLOAT_NOISE


@given(st.lists(st.tuples(slots_strategy, weights_strategy), min_size=1, max_size=3))
def test_weights_may_change_on_the_way(parts: list[tuple[list[int], dict[int, float]]]) -> None:
    """Over several segments each deal counts against the share that its slot had then."""
    slow = max(worst for _, worst in windows([move for slots, weights in parts for move in moved(slots, weights)]))
    assert abs(max(window_deviations([Segment(*one) for one in parts]).values()) - slow) < FLOAT_NOISE


@given(slots=slots_strategy, weights=weights_strategy, length=st.integers(1, 15))
def test_windows_of_one_length(slots: list[int], weights: dict[int, float], length: int) -> None:
    """The same as looking at each; None where there is none so long."""
    slow = [worst for long, worst in windows(moved(slots, weights)) if long == length]
    found = worst_of_length(Segment(slots, weights), length)
    assert (found is None) == (not slow)
    assert found is None or abs(found - max(slow)) < FLOAT_NOISE


def test_no_weight_at_all_is_an_error() -> None:
    """The words show the weights."""
    with pytest.raises(ValueError, match=r"more than 0, got \{1: 0\.0\}"):
        worst_window_deviation([1], {1: 0.0})
