"""How much marketing mail a pool may be given: what waits in each slot's queue leaves within seconds (choice 14).

Once a second CONTROL reads of each slot how many sends are done and how many wait (`Queue`).

1. A slot's rate is what it drains while it is busy, over DRAIN_OVER_S: senders commit about once a second, so a single
   second says little.  While it is not busy it can do at least what it drains, and what it could before; unused, that
   memory fades to START_PER_S within minutes.
2. It is granted its rate, more as its queue is shorter than AIM_S of that, less as it is longer, nothing at LONGEST_S;
   GROWTH times its rate, and START_SENDS at least, where the queue is empty: so a rate that was never tried is found
   within seconds.
3. The pool is granted what gives no slot more than its own grant, by the slots' shares: the dealer deals evenly, and
   the slowest for its share decides.  A slot's share is that of what the pool was dealt in the last seconds, since a
   slot that is blocked at a provider, or warms up, has less of the pool than its weight; where that is not known, its
   weight.
4. A slot whose sender stands still, with something waiting, keeps its rate: it is granted that until its queue is
   full.  It is held (dealt nothing) once it stood still for STANDS_S, or for FULL_STANDS_S with a full queue, since the
   whole pool waits for it then; also one that crawls, at less than CRAWLS of what the pool's others do for their share.
   Never the last slot of a pool: nothing is better elsewhere.  It is released when it moves, a crawling one when its
   queue is empty.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from streams.spread.dealing import Weights

# Seconds of a slot's drain that wait in its queue at most, granted by what it drained then.
LONGEST_S: Final = 10.0
# What a slot may have in its queue before anything is known of it, and the sends a second that this stands for.
START_SENDS: Final = 200
START_PER_S: Final = START_SENDS / LONGEST_S
# Seconds that are aimed at.  A sender that halves its pace from one second to the next is at LONGEST_S, and one that
# commits each second never runs dry.
AIM_S: Final = 5.0
# Seconds in which a deviation is mended: three periods and more, since readings are 1-2 s old when they take effect.
SETTLE_S: Final = LONGEST_S - AIM_S
GROWTH: Final = 3.0
# Seconds over which a drain, and a share, is measured.
DRAIN_OVER_S: Final = 4.0
# A share is measured on so many sends of the pool at least, and is this part of the weight's at least: what a provider
# takes can change from one moment to the next.
MEASURED_SENDS: Final = 100
LEAST_SHARE: Final = 1 / 8
# A sender commits each second and is read each second: up to two of them look like waiting, and as standing still.
COMMITS_S: Final = 2.0
# While a slot has little to do, what it could do before fades by a factor of e in so many seconds.
FADES_S: Final = 60.0
STANDS_S: Final = 10.0
# A full queue was filled for 4 s while its sender stood still: by then the others, at AIM_S, have not run dry.
FULL_STANDS_S: Final = 5.0
# What was not read is not known: a longer gap between two readings counts as this.
LONGEST_GAP_S: Final = 2.0
# Sends that may wait, not begun, in a slot that has little to do: they came since it looked last.
JUST_CAME: Final = 2
# An eighth: a sender's rates differ by twice or three times, by what its receivers take.
CRAWLS: Final = 0.125


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One slot's, as read: sends done since ever, sends that wait, and a mark that is another once anything moves.

    `in_hand` of those that wait were begun: some receivers take minutes, and more of them is no sign of a full slot.
    """

    done: int
    waiting: int
    mark: object
    in_hand: int = 0


class SlotWindow:
    """What is known of one slot."""

    def __init__(self) -> None:
        self.rate = START_PER_S
        self.waiting = 0
        self.stands_s = 0.0
        self.crawls_s = 0.0
        self.held: Literal["", "stands still", "crawls"] = ""
        # (when, done) of the latest readings that moved, and (when, dealt) of all, over DRAIN_OVER_S.
        self._points: deque[tuple[float, int]] = deque()
        self._given: deque[tuple[float, int]] = deque()
        self._mark: object = None
        self._read_at = self._idle_at = 0.0
        self._in_hand = 0
        self._ever_done = False

    @property
    def queue_s(self) -> float:
        """Seconds of its rate that wait."""
        return self.waiting / self.rate

    def observe(self, queue: Queue, now: float) -> None:
        """Take what was read at `now` (seconds, of any clock that never steps back)."""
        passed = now - self._read_at
        self.waiting, self._in_hand, self._read_at = queue.waiting, queue.in_hand, now
        _keep(self._given, now, queue.done + queue.waiting)
        if self._points and queue.mark == self._mark and queue.waiting:
            self.stands_s += min(passed, LONGEST_GAP_S)
            return
        self._mark = queue.mark
        if self.stands_s > COMMITS_S or (self._points and queue.done < self._points[-1][1]):
            self._points.clear()  # a time in which it stood still, or an operator's reset, is no rate
        self.stands_s = 0.0
        first = not self._points
        self._ever_done |= not first and queue.done > self._points[0][1]
        _keep(self._points, now, queue.done)
        if not first:
            self._measure(now, passed)

    def _measure(self, now: float, passed: float) -> None:
        since, before = self._points[0]
        drain = (self._points[-1][1] - before) / (now - since)
        if self.waiting - self._in_hand <= drain * COMMITS_S + JUST_CAME:
            self._idle_at = now
        if self._idle_at > since:
            self.rate = max(drain, self.rate + (START_PER_S - self.rate) * min(1.0, passed / FADES_S))
        elif now - since < COMMITS_S:
            self.rate = max(drain, self.rate)
        else:
            self.rate = max(drain, 1.0 / STANDS_S)  # slower than that it stands still

    def judge(self, *, usual: float, weight: float, passed: float) -> None:
        """Whether it is to be held; `usual` is what the pool's slots do for a weight of one."""
        was_held = self.held
        full = self._ever_done and self.queue_s > LONGEST_S - 1.0
        patience_s = FULL_STANDS_S if full else STANDS_S
        crawls = self.queue_s > AIM_S and self.rate < CRAWLS * usual * weight
        self.crawls_s = self.crawls_s + passed if crawls else 0.0
        if self.stands_s >= patience_s:
            self.held = "stands still"
        elif self.crawls_s >= patience_s or (self.held == "crawls" and self.waiting):
            self.held = "crawls"
        else:
            self.held = ""
        if was_held and not self.held:
            self._given.clear()  # its share was none

    @property
    def given(self) -> float | None:
        """How many sends it was dealt in DRAIN_OVER_S; None where it was not dealt to all the time."""
        since, before = self._given[0] if self._given else (self._read_at, 0)
        passed = self._read_at - since
        return None if passed < DRAIN_OVER_S else max(0, self._given[-1][1] - before) * DRAIN_OVER_S / passed

    @property
    def grant(self) -> float:
        """Sends a second that it may be given."""
        if self.stands_s > COMMITS_S:
            return self.rate * min(1.0, max(0.0, LONGEST_S - self.queue_s))
        least = START_SENDS - self.waiting if self.rate >= START_PER_S else 0.0
        off = (AIM_S - self.queue_s) / SETTLE_S  # 1 where it is empty, 0 at the aim, -1 where it is full
        return max(least, self.rate * (1.0 + (GROWTH - 1.0) * off if off > 0 else max(0.0, 1.0 - off * off)))


class Windows:
    """Those of all slots."""

    def __init__(self) -> None:
        self._slots: dict[int, SlotWindow] = {}
        self._at: float | None = None
        self._passed = 0.0

    def observe(self, queues: Mapping[int, Queue], now: float) -> None:
        """Take what was read of the slots in use; what is known of others is forgotten."""
        self._slots = {slot: self._slots.get(slot) or SlotWindow() for slot in queues}
        for slot, queue in queues.items():
            self._slots[slot].observe(queue, now)
        self._passed = 0.0 if self._at is None else min(now - self._at, LONGEST_GAP_S)
        self._at = now

    def of(self, slot: int) -> SlotWindow:
        """A slot's; one that was never read begins with START_PER_S."""
        return self._slots.get(slot) or SlotWindow()

    def hold(self, weights: Weights) -> tuple[int, ...]:
        """The slots of a pool that are held, those held until now among its (slot, weight) pairs; once a reading."""
        known = [(self.of(slot), weight) for slot, weight in weights]
        usual = median([one.rate / weight for one, weight in known]) if known else 0.0
        for one, weight in known:
            one.judge(usual=usual, weight=weight, passed=self._passed)
        held = tuple(slot for slot, _ in weights if self.of(slot).held)
        return held if len(held) < len(weights) else ()

    def pool_rate(self, weights: Weights) -> float:
        """Sends a second that the pool may be given, dealt over these (slot, weight) pairs; 0 over none."""
        total = sum(weight for _, weight in weights)
        given = {slot: found for slot, _ in weights if (found := self.of(slot).given) is not None}
        all_given = sum(given.values())
        measured = sum(weight for slot, weight in weights if slot in given) / total if weights else 0.0
        bounds = []
        for slot, weight in weights:
            share = weight / total
            if slot in given and all_given >= MEASURED_SENDS:
                share = max(measured * given[slot] / all_given, LEAST_SHARE * share)
            if share > 0:  # a weight too small for its share to be told from none
                bounds.append(self.of(slot).grant / share)
        return min(bounds, default=0.0)


def _keep(points: deque[tuple[float, int]], now: float, count: int) -> None:
    """Add a point; keep as many as span DRAIN_OVER_S, and two."""
    points.append((now, count))
    while len(points) > 2 and now - points[1][0] >= DRAIN_OVER_S:  # noqa: PLR2004  # two ends
        points.popleft()
