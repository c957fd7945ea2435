"""Spend a leased rate: a token bucket that holds one second's worth, at least one send.

It starts with one token, so that a slow campaign's first mail need not wait and a restart adds at most one a partition.
"""

from datetime import datetime, timedelta
from typing import Final

# Seconds.  A pace of one mail in a century is allowed, a date beyond the calendar is not; who asks asks again by then.
LONGEST_WAIT_S: Final = 86_400.0


class Bucket:
    """The credit of one campaign at one gate partition."""

    def __init__(self, now: datetime) -> None:
        self._tokens = 1.0
        self._at = now

    def _fill(self, rate: float, now: datetime) -> None:
        """A clock that steps back adds nothing and takes nothing."""
        passed = max(0.0, (now - self._at).total_seconds())
        self._tokens = min(max(1.0, rate), self._tokens + passed * rate)
        self._at = now

    def take(self, rate: float, now: datetime) -> bool:
        """Spend one send's credit at `rate` a second, if there is any."""
        self._fill(rate, now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def ready_at(self, rate: float, now: datetime) -> datetime:
        """When `take` can succeed next; a day from now where that is later still."""
        self._fill(rate, now)
        # A microsecond more than exact: the clock's grain must not leave the bucket a hair short.
        wait = min(max(0.0, 1.0 - self._tokens) / rate, LONGEST_WAIT_S)
        return now + timedelta(seconds=wait, microseconds=1) if wait else now
