"""Spend a leased rate: a token bucket that holds one second's worth, at least one send and what comes in meanwhile.

A pace is split over the gate partitions, and each spends its part from a bucket of its own.  Were each to begin with a
send's credit, twelve of them would add twelve sends to the first minute.  So each begins with a part of one, spread
evenly (`share_of_first`): together they let go one after the other, as one bucket would (Hermite's identity, where the
parts of the rate are equal).
"""

import math
import zlib
from datetime import datetime, timedelta
from typing import Final

# Seconds.  A pace of one mail in a century is allowed, a date beyond the calendar is not; who asks asks again by then.
LONGEST_WAIT_S: Final = 86_400.0
# Seconds' worth that may be overdrawn by what never waits: longer, and a burst of it would stop the others for minutes.
DEEPEST_S: Final = 10.0
# Seconds: where mail waits somebody asks each 5 s (`gate.looks`), or a little later while the gate has much to do; so
# nothing waited, and the credit is as at the beginning.
IDLE_S: Final = 60.0
# Its multiples lie as evenly between whole numbers as any do, however many there are.
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


def share_of_first(partition: int, name: str) -> float:
    """What a gate partition's bucket of this name has at first: above 0, at most 1; nearly 1 at one of them."""
    return 1.0 - (partition * _GOLDEN + zlib.crc32(name.encode()) / 2**32) % 1.0


class Bucket:
    """The credit of one campaign, provider or pool at one gate partition."""

    def __init__(self, now: datetime, *, first: float = 1.0) -> None:
        """`first`: the sends that it pays for at the beginning, and after a silence."""
        self._first = first
        self._tokens = first
        self._at = now

    def tokens(self, rate: float, now: datetime) -> float:
        """What is in it at `rate` a second.  A clock that steps back adds nothing and takes nothing."""
        if now is not self._at:  # the mails of one batch have one time
            passed = max(0.0, (now - self._at).total_seconds())
            # One send, and what comes in while that is looked at a little late, or a slow rate would never be met.
            most = max(rate, (1.0 if passed < IDLE_S else self._first) + min(rate, 1.0))
            self._tokens = min(most, self._tokens + passed * rate)
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
