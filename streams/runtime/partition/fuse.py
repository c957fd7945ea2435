"""The fuse: a bad deploy must not turn a topic into dead letters.

Of the latest events it knows how many ended by an error of ours; bad input is no such error (it ends `invalid`
or as a letter, by decision).  A batch is weighed whole, before it is committed, beside those that other partitions are
just committing; it is counted once it is.  A batch that is aborted and decided again is weighed again, and counts once,
however often.  One tenant's events that trip a defect are few among all, a deploy that fails for everybody is not.

A fuse that is new has seen nothing and behaves as if MINIMUM good events lay behind it: the first failure of a quiet
day blows nothing.  That is `share * MINIMUM` letters at most where all fails; a fuse that goes on from what the one
before it had weighed (`fuse_file`) allows no more, however often its worker is started.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from streams.runtime.errors import FuseBlownError

# Some seconds of a busy worker's events: long enough to be no chance, short enough to see a deploy at once.
LATEST: Final = 1_000
# With the default share of 0.2, the eleventh failure among the first fifty events blows.
MINIMUM: Final = 50


class Fuse:
    """One a worker, shared by all its partitions: the share of all its events is what counts."""

    def __init__(
        self,
        share: float,
        *,
        remember: Callable[[int, int], None] = lambda *_: None,
        events: int = 0,
        failed: int = 0,
    ) -> None:
        """`events` and `failed` were weighed before it; `remember` is told both before any more failures count."""
        self._allowed = share
        self._remember = remember
        self._batches: deque[tuple[int, int]] = deque([(events, failed)])
        self._events = events
        self._failed = failed
        # Weighed, and not ended.
        self._events_open = 0
        self._failed_open = 0

    @property
    def share(self) -> float:
        """The share of the latest events that failed, 0 to 1."""
        return self._failed / max(self._events, MINIMUM)

    @contextmanager
    def weighed(self, *, events: int, failed: int) -> Iterator[None]:
        """Weigh a batch, and count it where the block ends without an error: only then did it happen.

        Raises FuseBlownError, before the block, where it must not.
        """
        total = self._events + self._events_open + events
        bad = self._failed + self._failed_open + failed
        if failed and bad > self._allowed * max(total, MINIMUM):
            raise FuseBlownError(failed=bad, of=total, share=self._allowed)
        if failed:
            self._remember(total, bad)
        self._events_open += events
        self._failed_open += failed
        try:
            yield
        finally:
            self._events_open -= events
            self._failed_open -= failed
        self._count(events, failed)

    def admit(self, *, events: int, failed: int) -> None:
        """Weigh and count what has happened already.  Raises FuseBlownError where nothing more must."""
        with self.weighed(events=events, failed=failed):
            pass

    def _count(self, events: int, failed: int) -> None:
        self._batches.append((events, failed))
        self._events += events
        self._failed += failed
        while self._events - self._batches[0][0] >= LATEST:
            old, failed_then = self._batches.popleft()
            self._events -= old
            self._failed -= failed_then
