"""What of a slot's mail may not go now: held for seconds beside the inbox, or sent back with the time when it can.

1. A send that may go gets its turn at once, unless others of its provider wait before it.
2. Else, if its place comes within `smtp.hold_s`, it is held: it has no intent, and its offset stays open.  A restart, a
   fence or a drain finds it in Kafka.
3. When its turn comes it goes to the front of its lane, with the turn; whoever waits too long goes back.
4. A send whose place comes later, at the rate that may go, goes back at once (`parked`); one whose provider is shut to
   this slot is dealt anew.
5. Where no rate but connections are what lacks, nobody knows when a place comes: while they are many, the lane waits.

What may not go for another reason (cancelled, suppressed, slot closed) does not go back: it has that outcome.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from prometheus_client import Counter

from agents.slot.inbox import Inbox
from agents.slot.saying import Begun
from agents.slot.shaping import Shaper, shown
from schemas.events import Outcome
from streams.delivery import outcomes
from streams.delivery.hold import MOST, MOST_UNRATED, Hold
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.slot_limits import Moment, Turn
from streams.runtime.metrics import HELD, SENT_BACK

# Seconds after which what was sent back comes again at the latest: by then, limits and weights are others.
LONGEST_S: Final = 600.0
# Where no rate says when its place comes: connections have been taken for as long as one is held.
UNKNOWN_S: Final = 10.0


@dataclass(kw_only=True, slots=True)
class Granted:
    """A send whose turn has come; for the inbox, an event at the offset of its own."""

    begun: Begun
    turn: Turn

    @property
    def topic(self) -> str:
        """Its lane's."""
        return str(self.begun.message.topic)


class Holding:
    """One session's.

    `longest_s` is how long one is held, `withheld` says why a send may not go at all, `shut_out` what becomes of one
    whose provider takes nothing from this slot; `conclude` takes the outcome of one that ends.
    """

    def __init__(
        self,
        shaper: Shaper,
        inbox: Inbox,
        settings: OutcomeSettings,
        *,
        longest_s: float,
        withheld: Callable[[Begun, Moment], Outcome | None],
        shut_out: Callable[[Begun, Moment], Outcome],
        conclude: Callable[[Begun, Outcome], None],
    ) -> None:
        self._shaper = shaper
        self._inbox = inbox
        self._settings = settings
        self._withheld = withheld
        self._shut_out = shut_out
        self._conclude = conclude
        self._longest_s = longest_s
        self._hold: Hold[Begun] = Hold(longest_s)
        self._granted: dict[int, Granted] = {}
        self._changed = asyncio.Event()
        self._wakes_at: float | None = None
        self._failure: Exception | None = None
        self._lanes = dict(zip(("transactional", "marketing"), inbox.topics, strict=True))

    def __len__(self) -> int:
        return len(self._hold)

    def admit(self, begun: Begun) -> Turn | None:
        """Its turn; None: it is held, or has its outcome."""
        send, limits, now = begun.send, self._shaper.limits, self._shaper.now()
        ahead = self._hold.ahead(begun.provider, send.kind)
        wait_s = limits.wait_s(begun.provider, now)
        if wait_s <= 0 and not ahead:
            return limits.begin(begun.provider, now)
        shut = limits.closed_until(begun.provider, now) is not None
        if not shut and limits.expected_s(begun.provider, now, ahead=ahead) <= self._longest_s:
            _held(begun.provider).inc()
            most = MOST if limits.is_rated(begun.provider, now) else MOST_UNRATED
            self._hold.put(begun, begun.provider, send.kind, now=now.s, wait_s=wait_s, most=most)
            self._has_changed()
            return None
        self._conclude(begun, self._closed(begun, now) or self._sent_back(begun, now, ahead))
        return None

    def taken(self, granted: Granted) -> None:
        """A worker has it."""
        self._granted.pop(id(granted), None)

    async def run(self) -> None:
        """Let go what may, as soon as it may, until cancelled."""
        self._shaper.freed = self._freed
        while self._failure is None:
            self._let_go()
            self._has_changed()
            self._changed.clear()
            next_at = self._wakes_at = self._hold.next_at()
            wait_s = None if next_at is None else max(0.0, next_at - self._shaper.now().s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
        raise self._failure

    def close(self) -> None:
        """Give back the turns that nobody took; what is held is Kafka's again."""
        self._shaper.freed = lambda _: None
        for granted in self._granted.values():
            self._shaper.end(granted.turn, None)
        self._granted.clear()

    def _freed(self, provider: str) -> None:
        """An attempt has ended, which may let another begin: in this turn of the loop, and raising nothing to it."""
        if not self._hold.look(provider, self._shaper.now().s):
            return
        try:
            self._let_go()
            self._has_changed()
        except Exception as error:  # noqa: BLE001  # raised by `run`, which ends the session
            self._failure = error
            self._changed.set()

    def _has_changed(self) -> None:
        """The hold has more, or less: lanes wait or go on, and `run` looks at it when it is to."""
        for kind, topic in self._lanes.items():
            if self._hold.has_room(kind):
                self._inbox.open(topic)
            else:
                self._inbox.shut(topic)
        next_at = self._hold.next_at()
        if next_at is not None and (self._wakes_at is None or next_at < self._wakes_at):
            self._changed.set()

    def _let_go(self) -> None:
        now = self._shaper.now()
        limits = self._shaper.limits
        for how, provider, begun in self._hold.leave(now.s, lambda provider: limits.wait_s(provider, now)):
            if how == "late":
                outcome = self._closed(begun, now) or self._sent_back(begun, now, 0)
                self._conclude(begun, outcome)
                continue
            granted = Granted(begun=begun, turn=limits.begin(provider, now))
            self._granted[id(granted)] = granted
            self._inbox.first_of_lane(granted)

    def _closed(self, begun: Begun, now: Moment) -> Outcome | None:
        """Why it need not wait: it may not go at all, or its provider takes nothing from this slot."""
        outcome = self._withheld(begun, now)
        if outcome is None and self._shaper.limits.closed_until(begun.provider, now) is not None:
            return self._shut_out(begun, now)
        return outcome

    def _sent_back(self, begun: Begun, now: Moment, ahead: int) -> Outcome:
        limits = self._shaper.limits
        place_s = limits.place_s(begun.provider, now, ahead=ahead, most_s=LONGEST_S)
        after_s = place_s if place_s > self._longest_s else UNKNOWN_S
        SENT_BACK.labels(shown(begun.provider)).inc()
        return outcomes.shaped(begun.send, limits.words(begun.provider, now), now.at, self._settings, after_s=after_s)


@lru_cache(maxsize=1024)  # labels cost more than the count
def _held(provider: str) -> Counter:
    return HELD.labels(shown(provider))
