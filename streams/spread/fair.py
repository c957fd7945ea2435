"""Weighted fair queueing: whose mail goes next, so that each tenant gets its share of what is short, and no more.

Start-time fair queueing (Goyal, Vin and Cheng 1996).  Each tenant has a tag in virtual time: where its next turn
begins.

1. The lowest tag among those that wait goes next; virtual time is the tag of whom was served last.
2. A turn of n sends moves the tenant's tag by n/weight, so twice the weight is twice the sends.
3. A tag is never behind virtual time: who had nothing waiting, or could not go, has saved up nothing by that.

Over any time in which two tenants wait, their sends, each divided by its weight, differ by at most one turn of each.
"""

from collections.abc import Collection
from typing import Final

# A tenant's weight may be 0; such a one goes all the same, a thousandth as often as one of weight 1.
LEAST_WEIGHT: Final = 1e-3
# Where virtual time begins anew: far from where a float would lose a send of a weight of a million.
_SPAN: Final = 1e6
# Tenants with a tag, before those that virtual time has passed are forgotten: nobody can tell them from new ones.
_MOST: Final = 1_000


class FairQueue:
    """The tags of those that share one thing."""

    def __init__(self) -> None:
        self._time = 0.0
        self._tags: dict[str, float] = {}

    def tag(self, name: str) -> float:
        """Where its next turn begins."""
        return max(self._time, self._tags.get(name, 0.0))

    def next(self, waiting: Collection[str]) -> str:
        """Who of these goes next; where tags are equal, the first named."""
        return min(waiting, key=self.tag)

    def charge(self, name: str, weight: float, sends: int) -> None:
        """It had a turn of so many sends."""
        self._time = self.tag(name)
        self._tags[name] = self._time + sends / max(weight, LEAST_WEIGHT)
        if self._time > _SPAN or len(self._tags) > _MOST:
            self._tags = {one: tag - self._time for one, tag in self._tags.items() if tag > self._time}
            self._time = 0.0
