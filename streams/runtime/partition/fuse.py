"""The fuse: a bad deploy must not turn a topic into dead letters.

Pure.  Of the latest events it knows how many ended by an error of ours; bad input is no such error (it ends `invalid`
or as a letter, by decision).  A batch is weighed whole, before it is committed: one tenant's events that trip a defect
are few among all, a deploy that fails for everybody is not.

A fuse that is new has seen nothing and behaves as if MINIMUM good events lay behind it: the first failure of a quiet
day blows nothing, and a worker that is started again and again turns at most `share * MINIMUM` events into letters
each time.
"""

from collections import deque
from typing import Final

from streams.runtime.errors import FuseBlownError

# Some seconds of a busy worker's events: long enough to be no chance, short enough to see a deploy at once.
LATEST: Final = 1_000
# With the default share of 0.2, the eleventh failure among the first fifty events blows.
MINIMUM: Final = 50


class Fuse:
    """One a worker, shared by all its partitions: the share of all its events is what counts."""

    def __init__(self, share: float) -> None:
        self._allowed = share
        self._batches: deque[tuple[int, int]] = deque()
        self._events = 0
        self._failed = 0

    @property
    def share(self) -> float:
        """The share of the latest events that failed, 0 to 1."""
        return self._failed / max(self._events, MINIMUM)

    def admit(self, *, events: int, failed: int) -> None:
        """Count a batch that is about to be committed.  Raises FuseBlownError where it must not be."""
        total, bad = self._events + events, self._failed + failed
        if failed and bad > self._allowed * max(total, MINIMUM):
            raise FuseBlownError(failed=bad, of=total, share=self._allowed)
        self._batches.append((events, failed))
        self._events, self._failed = total, bad
        while self._events - self._batches[0][0] >= LATEST:
            old, failed_then = self._batches.popleft()
            self._events -= old
            self._failed -= failed_then
