"""A pool in virtual time: a dealer that spends what it is granted, senders that drain, CONTROL's window over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from streams.spread.dealing import Dealer, Weights
from streams.spread.window import Queue, Windows

TICK_S = 0.05
PERIOD_S = 1.0


@dataclass
class Sender:
    """Drains its slot at `pace(now)` sends a second and commits each second, from `phase` on."""

    pace: Callable[[float], float]
    phase: float
    dealt: int = 0
    sent: float = 0.0
    committed: int = 0
    able: float = 0.0
    next_commit: float = 0.0

    def __post_init__(self) -> None:
        """The first commit."""
        self.next_commit = self.phase

    def run(self, now: float) -> None:
        """One tick."""
        pace = self.pace(now)
        self.able += pace * TICK_S
        self.sent = min(float(self.dealt), self.sent + pace * TICK_S)
        if now >= self.next_commit and pace:  # who stands still commits nothing
            self.committed = int(self.sent)
            self.next_commit = now + 1.0

    @property
    def queue(self) -> int:
        """What waits really."""
        return self.dealt - int(self.sent)

    def read(self) -> Queue:
        """As CONTROL reads it."""
        return Queue(done=self.committed, waiting=self.dealt - self.committed, mark=self.committed)


@dataclass
class Pool:
    """Everything waits at the gate: `wish(now)` sends a second arrive, or infinitely many.

    `nominal`: the weights that CONTROL knows, where the mail that there is has others.
    """

    senders: Sequence[Sender]
    wish: Callable[[float], float] = lambda _: float("inf")
    weights: Weights = ()
    nominal: Weights = ()
    windows: Windows = field(default_factory=Windows)
    held: tuple[int, ...] = ()
    rate: float = 0.0
    now: float = 0.0
    tokens: float = 0.0
    backlog: float = 0.0
    arrived: float = 0.0

    def __post_init__(self) -> None:
        """All weights are 1 where none are given."""
        self.weights = self.weights or tuple((slot, 1.0) for slot in range(len(self.senders)))
        self._dealer = Dealer("t", self.weights)
        self._next = 0.0

    def run(self, seconds: float, *, each: Callable[[], None] = lambda: None) -> None:
        """Let time pass; `each` is called each tick."""
        end = self.now + seconds
        while self.now < end:
            if self.now >= self._next:
                self._control()
                self._next += PERIOD_S
            self._deal()
            for sender in self.senders:
                sender.run(self.now)
            self.now += TICK_S
            each()

    def _control(self) -> None:
        self.windows.observe({slot: sender.read() for slot, sender in enumerate(self.senders)}, self.now)
        self.held = self.windows.hold(self.weights)
        self.rate = self.windows.pool_rate(
            tuple(one for one in self.nominal or self.weights if one[0] not in self.held)
        )

    @property
    def open(self) -> Weights:
        """What is dealt to."""
        return tuple(pair for pair in self.weights if pair[0] not in self.held)

    def _deal(self) -> None:
        arrived = self.wish(self.now) * TICK_S
        self.arrived += arrived
        self.backlog += arrived
        self.tokens = min(max(1.0, self.rate), self.tokens + self.rate * TICK_S)
        weights = self.open
        while self.tokens >= 1.0 and self.backlog >= 1.0 and weights:
            self.senders[self._dealer.deal(weights)].dealt += 1
            self.tokens -= 1.0
            self.backlog -= 1.0

    @property
    def sent(self) -> float:
        """By all."""
        return sum(sender.sent for sender in self.senders)
