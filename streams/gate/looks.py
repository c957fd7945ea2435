"""When to look into the waiting room again: often enough that nobody notices, seldom enough that it costs little.

It goes through what waits by campaign and provider, 4 to 8 ms for a thousand of such lines.  So it is not taken with
each batch, and an idle partition whose mails wait for the morning takes four a second.
"""

from datetime import datetime, timedelta
from typing import Final

# A mail under credit goes within that of its credit.  Twelve partitions of one worker take 120 looks a second then,
# 0.3 ms each while few campaigns wait: 4 % of a core.
SPACE: Final = timedelta(milliseconds=100)
# And so much longer for each line (what waits for one campaign at one provider): a look costs 4 to 8 us for it, so
# looks take 8 % of a core at most, in each partition.  No more: a bucket holds a second's credit, and what it is not
# asked for within that is lost; with 300 us here, 6,000 lines got 0.55 of what they were leased.
SPACE_A_LINE: Final = timedelta(microseconds=100)
# The world changes without an event of ours: a pause ends, a lease comes, a campaign is compiled.
LONGEST: Final = timedelta(milliseconds=250)
# However many lines there are: a pause or a cancellation is seen within 10 s.  Upstream can make a line of each mail,
# by campaigns that nobody knows; 20,000 in a partition, looked at each 250 ms, would leave it time for nothing else.
MOST: Final = timedelta(seconds=5)


class Looks:
    """The looks of one gate partition."""

    def __init__(self) -> None:
        self._last: datetime | None = None
        self._space = SPACE
        self._again: datetime | None = None

    def due(self, now: datetime) -> bool:
        """Whether it is time.  A clock that was set back must not stop it."""
        return self._last is None or self._again is None or now >= self._again or now < self._last

    def looked(self, now: datetime, wakes: datetime | None, *, lines: int = 0) -> None:
        """It was looked, at so many lines; `wakes`: when there is something to do next; None: nothing waits."""
        self._last, self._space = now, min(MOST, SPACE + lines * SPACE_A_LINE)
        latest = now + max(LONGEST, self._space)
        self._again = latest if wakes is None else min(latest, max(wakes, now + self._space))

    def at_once(self) -> None:
        """There is more to do than the last look was allowed."""
        self._again = None

    def came(self) -> None:
        """Something came that may wait now."""
        if self._last is not None and self._again is not None:
            self._again = min(self._again, self._last + self._space)

    @property
    def again(self) -> datetime | None:
        """When the next is due; None = at once."""
        return self._again
