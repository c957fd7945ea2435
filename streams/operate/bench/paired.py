"""Two sides of the same rounds.  Pure.

What else a machine does, and how fast its cores run, differs from one minute to the next by more than what is looked
for: so a side is compared with the other of its own round, and the median is of the rounds' ratios.
"""

from collections.abc import Mapping


def ratios(above: Mapping[int, float | None], beneath: Mapping[int, float | None]) -> list[float]:
    """One to the other, by round, of each round that has both."""
    pairs = ((above[number], beneath[number]) for number in sorted(above.keys() & beneath.keys()))
    return [one / other for one, other in pairs if one is not None and other]
