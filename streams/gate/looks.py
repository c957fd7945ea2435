"""When to look into the waiting room again: often enough that nobody notices, seldom enough that it costs little.

A look goes through what waits by campaign and provider, 1 ms for a thousand lines, on each partition.  So it is not
taken with each batch, and an idle partition whose mails wait for the morning takes four a second.
"""

from datetime import datetime, timedelta
from typing import Final

# A mail under credit goes within that of its credit.  Ten looks a second at 12 partitions are 1 % of a core while few
# campaigns wait, 12 % at a thousand lines.
SPACE: Final = timedelta(milliseconds=100)
# The world changes without an event of ours: a pause ends, a lease comes, a campaign is compiled.
LONGEST: Final = timedelta(milliseconds=250)


class Looks:
    """The looks of one gate partition."""

    def __init__(self) -> None:
        self._last: datetime | None = None
        self._again: datetime | None = None

    def due(self, now: datetime) -> bool:
        """Whether it is time.  A clock that was set back must not stop it."""
        return self._last is None or self._again is None or now >= self._again or now < self._last

    def looked(self, now: datetime, wakes: datetime | None) -> None:
        """It was looked; `wakes`: when there is something to do next, as far as is known; None: nothing waits."""
        latest = now + LONGEST
        self._last = now
        self._again = latest if wakes is None else min(latest, max(wakes, now + SPACE))

    def at_once(self) -> None:
        """There is more to do than the last look was allowed."""
        self._again = None

    def came(self) -> None:
        """Something came that may wait now."""
        if self._last is not None and self._again is not None:
            self._again = min(self._again, self._last + SPACE)

    @property
    def again(self) -> datetime | None:
        """When the next is due; None = at once."""
        return self._again
