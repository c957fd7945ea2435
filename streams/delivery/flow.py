"""How many a second lately.  Pure: seconds of any steady clock."""

import math
from typing import Final

__all__ = ["FLOW_S", "Flow"]

# Seconds over which it is averaged: longer than a burst, shorter than a limit's changes.
FLOW_S: Final = 5.0
# Seconds below which no time is told from none: a clock's grain.
GRAIN_S: Final = 1e-3


class Flow:
    """An average that forgets over FLOW_S, and is right from its first second on."""

    def __init__(self, now: float) -> None:
        self._began = self._at = now
        self._count = 0.0

    def add(self, now: float) -> None:
        """One more."""
        self._count = self._count * self._left(now) + 1
        self._at = max(now, self._at)

    def pause(self, seconds: float) -> None:
        """From now on nothing goes for a while: that time says nothing of how fast it went."""
        self._began += seconds
        self._at += seconds

    def lately(self, now: float) -> float:
        """How many it remembers at this time."""
        return self._count * self._left(now)

    def per_s(self, now: float) -> float:
        """The average at this time."""
        seen_s = FLOW_S * -math.expm1(min(0.0, self._began - now) / FLOW_S)
        return self.lately(now) / max(seen_s, GRAIN_S)

    def _left(self, now: float) -> float:
        return math.exp(min(0.0, self._at - now) / FLOW_S)
