"""The checker agrees with the definition, computed the slow way."""

from hypothesis import given
from hypothesis import strategies as st

from streams.spread.check import worst_window_deviation


@given(slots=st.lists(st.integers(0, 3), max_size=14), weights=st.lists(st.floats(0.1, 5), min_size=3, max_size=3))
def test_it_is_the_worst_of_all_windows(slots: list[int], weights: list[float]) -> None:
    """Prefix extremes give the same as looking at each window and each slot; slot 3 has no weight at all."""
    shares = [weight / sum(weights) for weight in weights] + [0.0]
    slow = max(
        abs(slots[start:end].count(slot) - share * (end - start))
        for start in range(len(slots) + 1)
        for end in range(start, len(slots) + 1)
        for slot, share in enumerate(shares)
    )
    assert abs(worst_window_deviation(slots, dict(enumerate(weights))) - slow) < 1e-9
