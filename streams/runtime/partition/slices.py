"""How many events a batch may hold: no more than are decided within SLICE_S, on the loop that all partitions share.

Pure.  A transactional mail waits for the batch that its partition is at, and for one of each other partition of the
worker.  Beside a burst of 80,000 that one gate of four partitions read in, on two cores with all other roles, its p99
from event to accepted was 4.9 s with 500 events each, 2.0 s with slices of 50 ms, 0.8 s with 20 ms.  Reading in took
4 % longer: short batches are more transactions.
"""

from typing import Final

# Twelve partitions that all have more to do than they can: a quarter of a second, and the commits.
SLICE_S: Final = 0.02
# Below, what a transaction costs by itself (11 ms, `window`) would be most of it.
LEAST: Final = 25
# Seconds that another thread waits for the interpreter while a slice is decided (Python's own: 5 ms).  librdkafka gives
# it back at each delivery report: the 1,500 of a batch took 1.4 s beside a loop that decides, with this 0.3 s.
SWITCH_S: Final = 0.0005
# What a batch says of the next ones: a garbage collection is no new rate.
_WEIGHT: Final = 0.2


class Slices:
    """One partition's."""

    def __init__(self, most: int) -> None:
        """`most`: however quick they are."""
        self._most = most
        self._each_s: float | None = None

    @property
    def batch(self) -> int:
        """How many events the next batch may hold."""
        if not self._each_s:
            return self._most
        return max(min(LEAST, self._most), min(self._most, int(SLICE_S / self._each_s)))

    def took(self, events: int, seconds: float) -> None:
        """A batch of so many events was decided in so long."""
        if events:
            each_s = max(0.0, seconds) / events
            before = each_s if self._each_s is None else self._each_s
            self._each_s = before + _WEIGHT * (each_s - before)
