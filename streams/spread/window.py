"""How much marketing mail a pool may be given: what waits in each slot's queue leaves within seconds (choice 14).

Once a second CONTROL reads of each slot how many sends are done and how many wait (`Queue`).

1. A slot's rate is what it drains while it is busy, over DRAIN_OVER_S: senders commit about once a second, so a single
   second says little.  While it is not busy it can do at least what it drains, and what it could before; unused, that
   memory fades to START_PER_S within minutes.
2. It is granted its rate, more as its queue is shorter than AIM_S of that, less as it is longer, nothing at LONGEST_S;
   GROWTH times its rate where the queue is empty: so a rate that was never tried is found within seconds.
3. The pool is granted what gives no slot more than its own grant, by the slots' shares: the dealer deals evenly, and
   the slowest for its share decides.
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

# Sends a second that a slot is thought to do before anything is known: 200 in LONGEST_S.
START_PER_S: Final = 20.0
# Seconds of a slot's drain that wait in its queue at most, granted by what it drained then.
LONGEST_S: Final = 10.0
# Seconds that are aimed at.  A sender that halves its pace from one second to the next is at LONGEST_S, and one that
# commits each second never runs dry.
AIM_S: Final = 5.0
# Seconds in which a deviation is mended: three periods and more, since readings are 1-2 s old when they take effect.
SETTLE_S: Final = LONGEST_S - AIM_S
GROWTH: Final = 3.0
# Seconds over which a drain is measured.
DRAIN_OVER_S: Final = 4.0
# A sender commits each second and is read each second: up to two of them look like waiting, and as standing still.
COMMITS_S: Final = 2.0
# While a slot has little to do, what it could do before fades by a factor of e in so many seconds.
FADES_S: Final = 60.0
STANDS_S: Final = 10.0
FULL_STANDS_S: Final = 3.0
# An eighth: a sender's rates differ by twice or three times, by what its receivers take.
CRAWLS: Final = 0.125


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One slot's, as read: sends done since ever, sends that wait, and a mark that is another once anything moves."""

    done: int
    waiting: int
    mark: object


class SlotWindow:
    """What is known of one slot."""

    def __init__(self) -> None:
        self.rate = START_PER_S
        self.waiting = 0
        self.stands_s = 0.0
        self.crawls_s = 0.0
        self.held: Literal["", "stands still", "crawls"] = ""
        # (when, done) of the latest readings that moved, over DRAIN_OVER_S.
        self._points: deque[tuple[float, int]] = deque()
        self._mark: object = None
        self._read_at = self._idle_at = 0.0

    @property
    def queue_s(self) -> float:
        """Seconds of its rate that wait."""
        return self.waiting / self.rate

    def observe(self, queue: Queue, now: float) -> None:
        """Take what was read at `now` (seconds, of any clock that never steps back)."""
        passed = now - self._read_at
        self.waiting, self._read_at = queue.waiting, now
        if self._points and queue.mark == self._mark and queue.waiting:
            self.stands_s += passed
            return
        self._mark = queue.mark
        if self.stands_s > COMMITS_S or (self._points and queue.done < self._points[-1][1]):
            self._points.clear()  # a time in which it stood still, or an operator's reset, is no rate
        self.stands_s = 0.0
        first = not self._points
        self._points.append((now, queue.done))
        while len(self._points) > 2 and now - self._points[1][0] >= DRAIN_OVER_S:  # noqa: PLR2004  # two ends
            self._points.popleft()
        if not first:
            self._measure(now, passed)

    def _measure(self, now: float, passed: float) -> None:
        since, before = self._points[0]
        drain = (self._points[-1][1] - before) / (now - since)
        if self.waiting <= drain * COMMITS_S:
            self._idle_at = now
        if self._idle_at > since:
            self.rate = max(drain, self.rate + (START_PER_S - self.rate) * min(1.0, passed / FADES_S))
        elif now - since < COMMITS_S:
            self.rate = max(drain, self.rate)
        else:
            self.rate = max(drain, 1.0 / STANDS_S)  # slower than that it stands still

    def judge(self, *, usual: float, weight: float, passed: float) -> None:
        """Whether it is to be held; `usual` is what the pool's slots do for a weight of one."""
        patience_s = FULL_STANDS_S if self.queue_s > LONGEST_S - 1.0 else STANDS_S
        crawls = self.queue_s > AIM_S and self.rate < CRAWLS * usual * weight
        self.crawls_s = self.crawls_s + passed if crawls else 0.0
        if self.stands_s >= patience_s:
            self.held = "stands still"
        elif self.crawls_s >= patience_s or (self.held == "crawls" and self.waiting):
            self.held = "crawls"
        else:
            self.held = ""

    @property
    def grant(self) -> float:
        """Sends a second that it may be given."""
        if self.stands_s > COMMITS_S:
            return self.rate * min(1.0, max(0.0, LONGEST_S - self.queue_s))
        off = (AIM_S - self.queue_s) / SETTLE_S  # 1 where it is empty, 0 at the aim, -1 where it is full
        return self.rate * (1.0 + (GROWTH - 1.0) * off if off > 0 else max(0.0, 1.0 - off * off))


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
        self._passed = 0.0 if self._at is None else now - self._at
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
        return min((self.of(slot).grant * total / weight for slot, weight in weights), default=0.0)
