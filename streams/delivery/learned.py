"""The rate that one slot may send at to one provider, as learned from its replies.  Pure: seconds of any steady clock.

1. A throttled reply says: what was sent lately was too much.  The rate falls below it at once, and all waits for a
   moment so that the receiver's window passes.  Replies to what was begun before are told by the same fact: no news.
   Then one message asks, and the others wait for its answer.  Where hardly anything was sent there is no rate to fall
   from: a first such reply only makes all wait, another within a minute is believed, but not to mean less than could
   have been told (2 a second): who asks for less says so again.
2. Near the rate at which it was throttled before, it falls a little (the limit is known); far from it, or soon again,
   by more.  Where nothing at all was accepted since, no rate is the cause: the door is shut, and only the wait doubles.
3. Each accepted message lets the rate recover: fast at first, slowly near the rate at which it was throttled, then
   faster again, to find a limit that was raised (as TCP CUBIC does, RFC 9438).  What is not used does not grow.
4. Whose door stays shut for long is blocked for minutes, then looked at again with an eighth of what it took before.

The figures and what was measured with them are in docs/adr/0015.
"""

import math
from typing import Final, Literal

from streams.delivery.flow import FLOW_S, Flow

__all__ = ["Health", "Learned"]

Health = Literal["good", "throttled", "blocked"]

# What remains of a rate that was throttled: near the limit known, and else.
NEAR: Final = 0.9
FAR: Final = 0.7
# A rate up to so much above the remembered limit is near it.
NEAR_LIMIT: Final = 1.25
# Throttled again within this part of the time that recovery takes: the limit is lower than was thought.
SOON: Final = 0.1
# Seconds that recovery to the remembered limit takes at least, and messages that it takes: a look over the limit costs
# one to three throttled replies, which shall be less than 1 in 100.
RECOVERY_S: Final = 60.0
RECOVERY_MESSAGES: Final = 400.0
# A slower provider than this (messages a second) is looked at more often than its messages allow: a trickle's few
# throttled replies hurt nobody, and a limit that is over must be found within the hour.
TRICKLE_PER_S: Final = 2.0
# Seconds that all waits after a throttled reply; doubled while nothing is accepted.
PAUSE_S: Final = 2.0
# After so many waits without an accepted message (2 + 4 + … + 32 s: past any window of a minute) it is blocked.
SHUT: Final = 6
# Seconds; doubled each time up to the hour that block lists of rates are known to last.
BLOCKED_S: Final = 300.0
MAX_BLOCKED_S: Final = 3600.0
# What a blocked one begins with again: three doublings below what it took before.
AGAIN: Final = 1 / 8
# Without a configured limit: the learned one is over when so much more went than when it was throttled first.
OVER: Final = 2.0
# Messages lately (of some 5 s) of which a rate can be told, to a third: one reply in a quiet minute would else hold an
# IP at a message a second for the minutes that recovery takes.
FEW: Final = 10
# Messages a second; one a minute is enough to learn that it is over.
FLOOR_PER_S: Final = 1 / 60


class Learned:
    """What is known of one provider.  `limit` is the configured rate, or None."""

    def __init__(self, limit: float | None, now: float) -> None:
        self._limit = limit
        self._sent = Flow(now)
        # The remembered limit, the rate after the last fall, and how long (s) it recovered since, at the rate allowed.
        self._ceiling: float | None = None
        self._base = 0.0
        self._recovered_s = 0.0
        self._fell_at = -math.inf
        self._waits_until = -math.inf
        self._blocked_until = -math.inf
        self._blocks = 0
        # Whether anything was accepted since the last fall; else how many waits passed in vain, and whether one asks.
        self._open = True
        self._shut = 0
        self._asks = False
        # Since when the door is open, after it was shut, and how many were let in since.
        self._opened_at: float | None = None
        self._since_open = 0
        self.first: float | None = None

    def resume(self, rate: float, ceiling: float) -> None:
        """Go on from what another owner of the slot had learned: messages a second, above 0."""
        self.first = ceiling
        self._ceiling = max(min(rate, ceiling), FLOOR_PER_S) / NEAR
        self._base = NEAR * self._ceiling

    def bound(self, now: float) -> bool:
        """Where there is no limit: take what goes now for one, so that a part of it can be asked for; whether it did.

        As any learned one it is over when twice as much goes, and is then taken anew for as long as it is asked for.
        """
        if self.rate() is not None or self._sent.lately(now) < FEW:
            return False
        self.resume(self._sent.per_s(now), self._sent.per_s(now))
        return True

    def rate(self) -> float | None:
        """Messages a second that may go; None = no limit."""
        if self._ceiling is None:
            return self._limit
        fallen = 1 - self._base / self._ceiling
        rate = self._ceiling * (1 + fallen * (self._recovered_s / self._recovery_s() - 1) ** 3)
        return rate if self._limit is None else min(rate, self._limit)

    def waits_until(self) -> float:
        """Nothing may go before."""
        return max(self._waits_until, self._blocked_until)

    def health(self, now: float) -> Health:
        """In one word."""
        if now < self._blocked_until:
            return "blocked"
        return "good" if self._ceiling is None else "throttled"

    def blocked_s(self, now: float) -> float:
        """How long it is blocked from now on."""
        return max(0.0, self._blocked_until - now)

    @property
    def asks(self) -> bool:
        """Whether one is on its way to ask whether the door is open: the others wait for its answer."""
        return self._asks

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    def sent(self, now: float) -> None:
        """An attempt begins."""
        self._sent.add(now)
        self._asks = not self._open

    def unknown(self, *, began: float) -> None:
        """An attempt ended, and no receiver said anything."""
        if began > self._fell_at:
            self._asks = False

    def accepted(self, now: float, *, began: float) -> None:
        """A receiver took a message, or refused it for a reason of its own: it let us in."""
        if began <= self._fell_at:
            return
        self._asks = False
        if self._shut > 1:
            self._opened(now)
        self._since_open += 1
        self._open, self._shut, self._blocks = True, 0, 0
        rate = self.rate()
        if self._ceiling is None or rate is None:
            return
        self._recovered_s += 1 / rate
        if rate >= (self._limit or OVER * (self.first or rate)):
            self._ceiling = self.first = None

    def throttled(self, now: float, *, began: float) -> bool:
        """A receiver said: too much.  Whether it is news."""
        if began <= self._fell_at:
            return False
        self._asks = False
        if now < self._blocked_until:  # begun anew meanwhile (a send in doubt): it asked for nobody
            return False
        before, self._fell_at = self._fell_at, now
        if self._open:
            told = self._ceiling is not None or self._sent.lately(now) >= FEW
            if told or now - before <= RECOVERY_S:
                self._fall(now, least=FLOOR_PER_S if told else FEW / FLOW_S)
            self._open, self._shut = False, 0
        pause_s = PAUSE_S * 2**self._shut
        self._sent.pause(pause_s)
        self._waits_until = now + pause_s
        self._shut += 1
        if self._shut > SHUT:
            self._block(now)
        return True

    def _fall(self, now: float, *, least: float) -> None:
        rate = self.rate()
        sent = max(self._sent.per_s(now), least)
        seen = sent if rate is None else min(rate, sent)
        known = self._ceiling
        near = known is not None and seen <= NEAR_LIMIT * known and self._recovered_s > SOON * self._recovery_s()
        if self.first is None:
            self.first = seen
        self._ceiling = max(seen, FLOOR_PER_S / NEAR)
        self._base = max(seen * (NEAR if near else FAR), FLOOR_PER_S)
        self._recovered_s = 0.0

    def _opened(self, now: float) -> None:
        """The door was shut for a while, and is open: what went from one opening to the next is what goes in that time.

        So a receiver that counts by the minute or the hour is met within two of its windows.
        """
        if self._opened_at is not None and self._ceiling is not None:
            # It opened at some time after it was found shut last, and before it was found open.
            self._ceiling = max(self._since_open / (self._fell_at - self._opened_at), FLOOR_PER_S / NEAR)
            least = self._since_open / (now - self._opened_at)
            self._base = max(min(NEAR * self._ceiling, least), FLOOR_PER_S)
            self._recovered_s = 0.0
        self._opened_at, self._since_open = now, 0

    def _block(self, now: float) -> None:
        self._blocked_until = now + min(BLOCKED_S * 2**self._blocks, MAX_BLOCKED_S)
        self._blocks += 1
        self._shut = 0
        if self._ceiling is None:  # it was shut at once, amid hardly any mail
            self._ceiling = self.first = max(self._sent.per_s(now), FLOOR_PER_S / NEAR)
        ceiling = self._ceiling
        self._base = min(max(AGAIN * ceiling, FLOOR_PER_S), ceiling)
        self._recovered_s = 0.0

    def _recovery_s(self) -> float:
        ceiling = self._ceiling or FLOOR_PER_S
        by_messages = min(RECOVERY_MESSAGES / ceiling, RECOVERY_MESSAGES / TRICKLE_PER_S**2 * ceiling)
        return max(RECOVERY_S, by_messages)
