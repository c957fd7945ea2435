"""What one slot may do at one provider now: connections, messages a second, messages a day.  Pure.

1. `wait_s` says when the next message may go: at once, after so many seconds, or not before an attempt has ended.
2. `begin` spends for it; `end` says what became of it, and what that teaches (`learned`).

Times are seconds of a steady clock; days are counted by the caller's calendar (UTC).
"""

import math
from typing import Final, Literal

from streams.delivery.learned import Learned
from streams.delivery.shaping import Limits

__all__ = ["Limiter", "Reply"]

# How the receiver took it: it let us in, whatever it said of the message; it said "too much"; or it said nothing.
Reply = Literal["open", "throttled", "none"]
# Seconds of a rate that may go at once: a busy event loop comes late by tenths of a second, a receiver's window is
# seconds.  Always at least one message.
BURST_S: Final = 0.1
# Seconds that are none: what a sum of parts may lack.
GRAIN_S: Final = 1e-6


class Limiter:
    """One slot at one provider; `connections` holds where the provider's limits name none."""

    def __init__(self, limits: Limits, *, connections: int, now: float) -> None:
        self.limits = limits
        self.learned = Learned(limits.messages_per_s, now)
        self.under_way = 0
        self.today = 0
        # The part of its rate that a control leaves it.
        self.slow_to = 1.0
        self.day = 0
        self.connections = limits.connections or connections
        self._tokens = 1.0
        self._at = now

    def rate(self) -> float | None:
        """Messages a second that may go; None = no limit."""
        rate = self.learned.rate()
        return None if rate is None else rate * self.slow_to

    def wait_s(self, now: float, *, day: int) -> float:
        """Seconds until the next one may go; 0 = now, infinite = when an attempt ends, or another day begins."""
        if self.under_way >= self.connections or self.learned.asks or self.spent(day):
            return math.inf
        self._fill(now)
        rate = self.rate()
        gathers_s = 0.0 if rate is None else (1 - self._tokens) / rate
        wait_s = max(self.learned.waits_until() - now, gathers_s)
        return wait_s if wait_s > GRAIN_S else 0.0

    def spent(self, day: int) -> bool:
        """Whether the day's messages are used up."""
        return self.limits.messages_per_day is not None and self.today_of(day) >= self.limits.messages_per_day

    def today_of(self, day: int) -> int:
        """How many went on this day.  A clock that is set back over midnight begins no day anew."""
        if day > self.day or day < self.day - 1:
            self.day, self.today = day, 0
        return self.today

    def begin(self, now: float) -> None:
        """One goes."""
        self._fill(now)
        self._tokens -= 1.0
        self.under_way += 1
        self.today += 1
        self.learned.sent(now)

    def end(self, now: float, *, began: float, reply: Reply, day: int | None = None) -> bool:
        """It has come back; whether it was throttled, and that is news.

        `day`: the one that it counts on, if that may be over.
        """
        self.under_way -= 1
        if reply == "open":
            self.learned.accepted(now, began=began)
        elif reply == "none":  # it did not reach the receiver: the day's place is another's
            if day is None or day == self.day:
                self.today = max(0, self.today - 1)
            self.learned.unknown(began=began)
        elif self.learned.throttled(now, began=began):
            self._tokens = 0.0
            return True
        return False

    def _fill(self, now: float) -> None:
        rate = self.rate()
        if rate is None:
            self._tokens = 1.0
        else:
            # While all waits, nothing gathers: it would go at once when the wait is over.
            passed_s = max(0.0, now - max(self._at, self.learned.waits_until()))
            self._tokens = min(max(1.0, BURST_S * rate), self._tokens + passed_s * rate)
        self._at = max(now, self._at)
