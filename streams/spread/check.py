"""Prove evenness from outside: how far any window of a sequence of slots strays from the weighted shares.

It shares no code with the dealer, so that a demo or a test compares two things.  For one slot the deviation of a
prefix falls evenly between its sends, so its extremes stand just before and just after each, and at both ends; a
window is the difference of two prefixes.  O(sends + slots).
"""

from collections.abc import Mapping, Sequence

# Earliest-deadline dealing keeps each prefix within one of its share: a window is a difference of two prefixes.
WINDOW_BOUND = 2.0


def window_deviations(slots: Sequence[int], weights: Mapping[int, float]) -> dict[int, float]:
    """Per slot, the largest |count - share| over all windows; a slot without weight should get nothing."""
    total = sum(weights.values())
    if total <= 0:
        raise ValueError(f"the weights must sum to more than 0, got {dict(weights)}")
    turns: dict[int, list[int]] = {slot: [] for slot in weights}
    for turn, slot in enumerate(slots):
        turns.setdefault(slot, []).append(turn)
    worst = {}
    for slot, own in turns.items():
        share = weights.get(slot, 0.0) / total
        lowest = highest = 0.0
        for count, turn in enumerate(own):
            lowest = min(lowest, count - share * turn)
            highest = max(highest, count + 1 - share * (turn + 1))
        last = len(own) - share * len(slots)
        worst[slot] = max(highest, last) - min(lowest, last)
    return worst


def worst_window_deviation(slots: Sequence[int], weights: Mapping[int, float]) -> float:
    """The largest |count - weighted share| of any slot in any window of consecutive deals; 0 for no deals."""
    return max(window_deviations(slots, weights).values())
