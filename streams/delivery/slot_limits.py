"""What one slot may do now, provider by provider, and what is to be told of it (`conditions`).  Pure.

1. A provider's limiter is made when its first mail comes; what a former owner of the slot had told of it goes on.
2. What an attempt came to is read from its outcome.
3. A change is told at once: another health, or a rate that has left the band around what was told.  So a rate that
   swings around its limit is one word, and weights hold still.  While a provider is not good, that is told again and
   again, so that who reads it knows that it still holds.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from schemas import ids
from schemas.events import Condition, Outcome
from streams.delivery.limiter import Limiter, Reply
from streams.delivery.rollup import BY_HOST
from streams.delivery.shaping import Shaping

__all__ = ["Moment", "SlotLimits", "Turn", "reply_of"]

# A rate is told anew when it is so far from the one told.  It swings from 0.9 of its limit to a little above (learned).
BELOW: Final = 0.95
ABOVE: Final = 1.15
# Seconds after which what is not good is told again.
TOLD_EVERY_S: Final = 30.0
# What a former owner told counts for so long: a rebalance, a deploy, a short outage.
RESUMED: Final = timedelta(minutes=15)
# Providers kept in mind at most; who did nothing lately and is good is forgotten first.
MOST: Final = 5000
IDLE_S: Final = 60.0
# Seconds after which what was learned of a host of no name that gets no more mail is taken back: an hour, for which
# block lists of rates are known to last.  There are as many such hosts as upstream's lists have domains.
LEARNED_S: Final = 3600.0
# Refusals of us before anything was asked, which are no sign that the rate is right.
_CLOSED: Final = frozenset({"policy", "connection_refused", "tls", "relay_denied"})


@dataclass(frozen=True, slots=True)
class Moment:
    """One time on two clocks: seconds of a steady one, and the calendar's, in UTC."""

    s: float
    at: datetime

    @property
    def day(self) -> int:
        """Which day it is."""
        return self.at.toordinal()


@dataclass(slots=True)
class Turn:
    """The leave of one attempt to begin."""

    provider: str
    began: float
    day: int
    over: bool = False


@dataclass(slots=True)
class _Known:
    limiter: Limiter
    used_at: float
    evidence: str = ""
    told: Condition | None = None
    told_at: float = field(default=float("-inf"))
    parked_at: float = field(default=float("-inf"))

    def idle_s(self, now: Moment) -> float:
        """For how long no mail of its came by."""
        return 0.0 if self.limiter.under_way else now.s - self.used_at


class SlotLimits:
    """One slot's.  `before` is what `conditions` says, by its key; `slow_to` is the controls' word on a provider."""

    def __init__(
        self,
        slot: int,
        shaping: Shaping,
        *,
        connections: int,
        before: Mapping[str, Condition],
        slow_to: Callable[[str, datetime], float] = lambda _provider, _at: 1.0,
    ) -> None:
        self._slot = slot
        self._shaping = shaping
        self._connections = connections
        self._before = before
        self._slow_to = slow_to
        self._known: dict[str, _Known] = {}
        self._troubled: set[str] = set()
        self._by_day: set[str] = set()

    # ── before and after an attempt ──────────────────────────────────────────────────────────────────────────────────

    def wait_s(self, provider: str, now: Moment) -> float:
        """Seconds until the next one may go there; infinite where that depends on an attempt's end, or on the day."""
        known = self._at(provider, now)
        known.used_at = now.s
        return known.limiter.wait_s(now.s, day=now.day)

    def begin(self, provider: str, now: Moment) -> Turn:
        """One goes; also where it should not: an attempt that is begun anew."""
        known = self._at(provider, now)
        known.used_at = now.s
        known.limiter.begin(now.s)
        return Turn(provider, now.s, known.limiter.day)

    def end(self, turn: Turn, outcome: Outcome | None, now: Moment) -> bool:
        """It is over, and what became of it; once.  Whether it was throttled, and that is news."""
        if turn.over:
            return False
        turn.over = True
        known = self._at(turn.provider, now)
        reply = reply_of(outcome)
        news = known.limiter.end(now.s, began=turn.began, reply=reply, day=turn.day)
        if news and outcome is not None:
            known.evidence = outcome.delivery.reply
            self._troubled.add(turn.provider)
        return news

    def closed_until(self, provider: str, now: Moment) -> datetime | None:
        """Until when nothing may go there at all: it is blocked, or the day's messages are used up."""
        limiter = self._at(provider, now).limiter
        if limiter.spent(now.day):
            self._troubled.add(provider)
            return now.at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        blocked_s = limiter.learned.blocked_s(now.s)
        return now.at + timedelta(seconds=blocked_s) if blocked_s else None

    def place_s(self, provider: str, now: Moment, *, ahead: int, most_s: float) -> float:
        """In how many seconds a mail that comes back now may go, behind those that were sent back before.

        Whose place is later than `most_s` comes back in the second half of that: they all at once would be a burst.
        What waits for an attempt to end waits as long as nobody knows: that is no time, for it or for those behind it.
        """
        known = self._at(provider, now)
        rate = known.limiter.rate()
        wait_s = known.limiter.wait_s(now.s, day=now.day)
        each_s = 0.0 if rate is None else 1 / rate
        first_s = (0.0 if wait_s == math.inf else min(wait_s, most_s)) + ahead * each_s
        known.parked_at = max(now.s + first_s, known.parked_at + each_s)
        place_s = known.parked_at - now.s
        return place_s if place_s <= most_s else most_s / 2 + place_s % (most_s / 2)

    def expected_s(self, provider: str, now: Moment, *, ahead: int) -> float:
        """How long another one waits behind `ahead` others, as far as that can be told: infinite waits may end soon."""
        limiter = self._at(provider, now).limiter
        rate = limiter.rate()
        wait_s = limiter.wait_s(now.s, day=now.day)
        return (0.0 if wait_s == math.inf else wait_s) + (0.0 if rate is None else ahead / rate)

    def is_rated(self, provider: str, now: Moment) -> bool:
        """Whether it takes so many a second, and not as many as its connections carry."""
        return self._at(provider, now).limiter.rate() is not None

    def words(self, provider: str, now: Moment) -> str:
        """What holds it back, for people."""
        limiter = self._at(provider, now).limiter
        rate = limiter.rate()
        if rate is None:
            return f"{limiter.connections} connections"
        return f"{rate:.3g} messages a second, {limiter.connections} connections"

    # ── what a commit keeps ──────────────────────────────────────────────────────────────────────────────────────────

    def today(self, now: Moment) -> tuple[date, dict[str, int]]:
        """The day that is counted, and what went on it, by provider; of more than MOST those where most went.

        Yesterday's tomorrow, where the clock was set back over midnight: it is no day anew (`Limiter.today_of`).
        """
        limiters = {provider: self._at(provider, now).limiter for provider in self._by_day}
        counts = Counter({provider: limiter.today_of(now.day) for provider, limiter in limiters.items()})
        day = max((limiter.day for limiter in limiters.values()), default=now.day)
        of_day = Counter({provider: count for provider, count in counts.items() if limiters[provider].day == day})
        return date.fromordinal(day), dict((+of_day).most_common(MOST))

    def resume_day(self, day: date, today: Mapping[str, int], now: Moment) -> None:
        """What went on that day by the last commit: another owner's count, or an older one of ours."""
        if now.day <= day.toordinal() <= now.day + 1:
            for provider, count in today.items():
                limiter = self._at(provider, now).limiter
                limiter.today = max(count, limiter.today_of(day.toordinal()))

    # ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────────

    def news(self, now: Moment) -> dict[str, Condition | None]:
        """What is to be told now, by its key; None takes back what was told.  Assumed told, unless `untold`."""
        found: dict[str, Condition | None] = {}
        for provider in list(self._troubled):
            known = self._at(provider, now)
            if provider.startswith(BY_HOST) and known.idle_s(now) > LEARNED_S:
                found[ids.slot_provider_key(self._slot, provider)] = None
                self._drop(provider)
                continue
            condition = self._condition(provider, known, now)
            told = known.told
            if told is not None and _same(told, condition):
                if condition.health == "good" or now.s - known.told_at < TOLD_EVERY_S:
                    continue
                # What was told, once more: who reads it sees no change but of the time.
                condition = msgspec.structs.replace(told, at=now.at)
            known.told, known.told_at = condition, now.s
            found[ids.slot_provider_key(self._slot, provider)] = condition
            if condition.health == "good":
                self._troubled.discard(provider)
                known.told = None
                if provider.startswith(BY_HOST):  # else a topic that keeps each key's last word grows with every host
                    found[ids.slot_provider_key(self._slot, provider)] = None
        return found

    def untold(self, provider: str) -> None:
        """It could not be told: the next `news` does it again."""
        known = self._known.get(provider)
        if known is not None:
            known.told = None
            self._troubled.add(provider)

    def troubled(self) -> dict[str, str]:
        """Health by provider, of those that are not good."""
        return {name: told.health for name in self._troubled if (told := self._known[name].told) is not None}

    def _condition(self, provider: str, known: _Known, now: Moment) -> Condition:
        limiter, learned = known.limiter, known.limiter.learned
        until = self.closed_until(provider, now)
        limit = limiter.limits.messages_per_s or learned.first
        return Condition(
            slot=self._slot,
            provider=provider,
            health="blocked" if until is not None else learned.health(now.s),
            at=now.at,
            until=until,
            rate_per_s=learned.rate(),
            limit_per_s=limit,
            evidence=known.evidence,
        )

    def _at(self, provider: str, now: Moment) -> _Known:
        known = self._known.get(provider)
        if known is None:
            if len(self._known) >= MOST:
                self._forget(now)
            limiter = Limiter(self._shaping.limits(provider), connections=self._connections, now=now.s)
            known = self._known[provider] = _Known(limiter, now.s)
            if limiter.limits.messages_per_day is not None:
                self._by_day.add(provider)
            self._resume(provider, known, now)
        slow_to = known.limiter.slow_to = self._slow_to(provider, now.at)
        if slow_to < 1.0 and known.limiter.learned.bound(now.s):
            known.evidence = f"slowed to {slow_to:g} of what went"
            self._troubled.add(provider)
        return known

    def _resume(self, provider: str, known: _Known, now: Moment) -> None:
        """Go on from what the slot's former owner told, if that is not old."""
        before = self._before.get(ids.slot_provider_key(self._slot, provider))
        if before is None or before.health == "good" or now.at - before.at > RESUMED:
            return
        if before.rate_per_s and before.limit_per_s:
            known.limiter.learned.resume(before.rate_per_s, before.limit_per_s)
            known.evidence = before.evidence
            self._troubled.add(provider)

    def _forget(self, now: Moment) -> None:
        for provider, known in list(self._known.items()):
            counts = provider in self._by_day and known.limiter.today_of(now.day)
            if known.idle_s(now) > IDLE_S and provider not in self._troubled and not counts:
                self._drop(provider)

    def _drop(self, provider: str) -> None:
        del self._known[provider]
        self._troubled.discard(provider)
        self._by_day.discard(provider)


def reply_of(outcome: Outcome | None) -> Reply:
    """What an attempt's outcome says of the receiver's door."""
    if outcome is None or outcome.delivery.smtp_code is None or outcome.delivery.class_ in _CLOSED:
        return "none"
    # RFC 3463 3.3: X.2.X is of the mailbox.  Gmail says 4.2.1 of a person who gets mail too fast, and 4.7.28 of us.
    of_mailbox = outcome.delivery.enhanced_code[1:].startswith(".2.")
    return "throttled" if outcome.delivery.class_ == "throttled" and not of_mailbox else "open"


def _same(told: Condition, now: Condition) -> bool:
    """Whether the word that was told still stands."""
    if told.health != now.health or (told.rate_per_s is None) != (now.rate_per_s is None):
        return False
    if told.until is not None and now.until is not None and abs(now.until - told.until) > timedelta(seconds=1):
        return False
    if told.rate_per_s is None or now.rate_per_s is None:
        return True
    return BELOW * told.rate_per_s <= now.rate_per_s <= ABOVE * told.rate_per_s
