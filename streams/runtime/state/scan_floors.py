"""Where a scan of a prefix begins: at its first key, not among the thousands that were deleted before it.

A waiting room is emptied from its front.  RocksDB keeps a tombstone for each deleted key until it compacts them away,
and a scan that begins at the prefix steps over all of them, every time.  A floor is a key that no stored key of the
prefix is below; it rises with each scan, and falls where a key is written below it.
"""

from collections import OrderedDict
from typing import Any, Final

from sortedcontainers import SortedDict

# Two lanes of a hundred campaigns under way; one write costs a look at each, 2 us.
FLOORS: Final = 256


class ScanFloors:
    """The floors of the prefixes scanned last."""

    def __init__(self) -> None:
        self._floors: OrderedDict[bytes, bytes] = OrderedDict()

    def start(self, prefix: bytes) -> bytes:
        """Where to begin a scan of this prefix."""
        return self._floors.get(prefix, prefix)

    def learn(self, prefix: bytes, first: bytes) -> None:
        """No stored key of the prefix is below `first`."""
        self._floors[prefix] = first
        self._floors.move_to_end(prefix)
        if len(self._floors) > FLOORS:
            self._floors.popitem(last=False)

    def written(self, keys: "SortedDict[bytes, Any]") -> None:
        """These keys are about to be stored, or deleted: who lies below a floor is the floor from now on."""
        for prefix, floor in self._floors.items():
            below = next(keys.irange(prefix, floor, inclusive=(True, False)), None)
            if below is not None:
                self._floors[prefix] = below
