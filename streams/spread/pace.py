"""Spend a leased rate: a token bucket that holds one second's worth, at least two sends.

It starts with one token, so that a slow campaign's first mail need not wait and a restart adds at most one a partition.
"""

import math
from datetime import datetime, timedelta
from typing import Final

# Seconds.  A pace of one mail in a century is allowed, a date beyond the calendar is not; who asks asks again by then.
LONGEST_WAIT_S: Final = 86_400.0
# Sends that a bucket holds at the least: one, and what comes in while that is looked at a little late, or a rate of one
# a second would never be met.
_LEAST: Final = 2.0
# Seconds' worth that may be overdrawn by what never waits: longer, and a burst of it would stop the others for minutes.
DEEPEST_S: Final = 10.0


class Bucket:
    """The credit of one campaign, provider or pool at one gate partition."""

    def __init__(self, now: datetime) -> None:
        self._tokens = 1.0
        self._at = now

    def tokens(self, rate: float, now: datetime) -> float:
        """What is in it at `rate` a second.  A clock that steps back adds nothing and takes nothing."""
        if now is not self._at:  # the mails of one batch have one time
            passed = max(0.0, (now - self._at).total_seconds())
            self._tokens = min(max(_LEAST, rate), self._tokens + passed * rate)
            self._at = now
        return self._tokens

    def take(self, rate: float, now: datetime) -> bool:
        """Spend one send's credit at `rate` a second, if there is any."""
        if self.tokens(rate, now) < 1.0:
            return False
        self.spend()
        return True

    def spend(self) -> None:
        """Spend one send's credit that `tokens` said is there."""
        self._tokens -= 1.0

    def debit(self, rate: float, now: datetime) -> None:
        """Spend one send's credit, whether there is any or not: others wait the longer, DEEPEST_S at most."""
        lowest = -DEEPEST_S * max(1.0, rate)
        self._tokens = max(self.tokens(rate, now) - 1.0, lowest)

    def ready_at(self, rate: float, now: datetime) -> datetime:
        """When `take` can succeed next; a day from now where that is later still."""
        missing = max(0.0, 1.0 - self.tokens(rate, now))
        # A microsecond more than exact: the clock's grain must not leave the bucket a hair short.
        wait = min(missing / rate if rate > 0.0 else math.inf, LONGEST_WAIT_S) if missing else 0.0
        return now + timedelta(seconds=wait, microseconds=1) if wait else now
