"""Prove evenness from outside: how far any window of a sequence of slots strays from the weighted shares.

It shares no code with the dealer, so that a demo or a test compares two things.  For one slot the deviation of a
prefix falls evenly between its sends, so its extremes stand just before and just after each, and at both ends; a
window is the difference of two prefixes.  O(sends + slots), also where weights change on the way.

A window of a fixed length has a fixed share, so that what its slots' counts reach is enough.  O(sends).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Earliest-deadline dealing keeps each prefix within one of its share: a window is a difference of two prefixes.
WINDOW_BOUND = 2.0


class Segment(NamedTuple):
    """Deals under the same weights, in their order; a slot without weight should get nothing."""

    slots: Sequence[int]
    weights: Mapping[int, float]

    @property
    def shares(self) -> dict[int, float]:
        """Each slot's part of one.  Raises ValueError where no slot has a weight."""
        total = sum(self.weights.values())
        if total <= 0:
            raise ValueError(f"the weights must sum to more than 0, got {dict(self.weights)}")
        return {slot: weight / total for slot, weight in self.weights.items()}


def window_deviations(segments: Sequence[Segment]) -> dict[int, float]:
    """Per slot, the largest |count - share| over all windows of what the segments say together."""
    reached: dict[int, float] = {}  # the deviation of the prefix so far
    lowest: dict[int, float] = {}
    highest: dict[int, float] = {}
    for segment in segments:
        shares = segment.shares
        turns: dict[int, list[int]] = {slot: [] for slot in reached.keys() | shares.keys()}
        for turn, slot in enumerate(segment.slots):
            turns.setdefault(slot, []).append(turn)
        for slot, own in turns.items():
            share, base = shares.get(slot, 0.0), reached.get(slot, 0.0)
            low, high = lowest.get(slot, 0.0), highest.get(slot, 0.0)
            for count, turn in enumerate(own):
                low = min(low, base + count - share * turn)
                high = max(high, base + count + 1 - share * (turn + 1))
            end = reached[slot] = base + len(own) - share * len(segment.slots)
            lowest[slot], highest[slot] = min(low, end), max(high, end)
    return {slot: highest[slot] - lowest[slot] for slot in reached}


def worst_window_deviation(slots: Sequence[int], weights: Mapping[int, float]) -> float:
    """The largest |count - weighted share| of any slot in any window of consecutive deals; 0 for no deals."""
    return max(window_deviations([Segment(slots, weights)]).values())


def worst_of_length(segment: Segment, length: int) -> float | None:
    """The same over the windows of exactly `length` deals; None where the segment is shorter."""
    if len(segment.slots) < length:
        return None
    counts: dict[int, int] = dict.fromkeys(segment.weights, 0)
    for slot in segment.slots[:length]:
        counts[slot] = counts.get(slot, 0) + 1
    least, most = dict(counts), dict(counts)
    for leaving, coming in zip(segment.slots, segment.slots[length:], strict=False):
        if leaving == coming:
            continue
        fewer = counts[leaving] = counts[leaving] - 1
        more = counts[coming] = counts.get(coming, 0) + 1
        least[leaving] = min(least[leaving], fewer)
        least.setdefault(coming, 0)  # it had none in the windows before
        most[coming] = max(most.get(coming, 0), more)
    shares = segment.shares
    return max(
        max(most[slot] - shares.get(slot, 0.0) * length, shares.get(slot, 0.0) * length - least[slot]) for slot in most
    )
