"""What a worker says of itself, seen from outside its event loop: is it alive, is it ready, does it move.

A task on the event loop looks once in PULSE_S and leaves what it saw; threads (health.py, watchdog.py) read that, and
its age tells them whether the loop still runs.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from streams.runtime import metrics

# Seconds between two looks.  A hundred partitions cost less than a millisecond.
PULSE_S: Final = 0.5
# A loop that was not seen for so long (s) is not alive to whoever asks; the watchdog has more patience.
ALIVE_S: Final = 10.0

# Stands for a partition in the progress of what is none.
NO_PARTITION: Final = -1
# Stands for where a topic is done as long as nobody told it: below any offset.
NOT_TOLD: Final = -1


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One thing that has to hold before a worker is ready, and how it stands."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far a topic's partition is done: `done` is the first offset that is not, `end` the first there is none of."""

    topic: str
    done: int
    end: int

    @property
    def lag(self) -> int:
        """How many offsets are left."""
        return max(0, self.end - self.done)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One owner's progress over its topics: while it moves on one of them, it moves.

    `patience_s`: how long it may stand still while something is left to do.
    """

    partition: int
    reaches: tuple[Reach, ...]
    patience_s: float

    @property
    def done(self) -> tuple[int, ...]:
        """What changes when it moves."""
        return tuple(reach.done for reach in self.reaches)

    @property
    def lag(self) -> int:
        """What is left to do."""
        return sum(reach.lag for reach in self.reaches)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen at one moment.  `held` names why nothing is expected to move now."""

    beat: int = 0
    at: float = 0.0
    conditions: tuple[Condition, ...] = ()
    progress: tuple[Progress, ...] = ()
    held: str | None = None


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """How to look: functions that are called on the event loop, quick, and may not wait."""

    conditions: Callable[[], Sequence[Condition]]
    progress: Callable[[], Sequence[Progress]] = field(default=tuple)
    held: Callable[[], str | None] = field(default=lambda: None)


class Fresh(Protocol):
    """Views that know whether they are current."""

    def fresh(self) -> bool:
        """Whether the views' ends were confirmed lately."""

    def when_failed(self, tell: Callable[[BaseException], object]) -> None:
        """Have this called, from whatever thread, once they are read no further."""


def views_condition(views: Fresh) -> Condition:
    """Views hold all there is."""
    fresh = views.fresh()
    return Condition(name="views", ok=fresh, detail="current" if fresh else "their end is not confirmed")


def turns(role: str, count: int, *, patience_s: float) -> Progress:
    """The progress of a role whose loop takes turns over all it owns: the next turn is always left to do."""
    reach = Reach(topic=f"{role}'s turns", done=count, end=count + 1)
    return Progress(partition=NO_PARTITION, reaches=(reach,), patience_s=patience_s)


class Seen(Protocol):
    """What a worker's answers over HTTP rest on; read from any thread."""

    @property
    def last(self) -> Look:
        """What was seen last."""

    def runs(self) -> Condition:
        """Whether that which runs the worker still does."""


class Pulse:
    """The looks of one event loop; `last` may be read from any thread."""

    def __init__(self, vitals: Vitals, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._vitals = vitals
        self._clock = clock
        self.last = Look(at=clock())

    def runs(self) -> Condition:
        """Whether the loop ran lately."""
        ok = self._clock() - self.last.at < ALIVE_S
        return Condition(name="loop", ok=ok, detail="the event loop runs" if ok else "the event loop stands still")

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            due = self._clock() + PULSE_S
            await asyncio.sleep(PULSE_S)
            metrics.LOOP_DELAY.set(max(0.0, self._clock() - due))

    def look(self) -> None:
        """Look once."""
        vitals = self._vitals
        progress = tuple(vitals.progress())
        self.last = Look(
            beat=self.last.beat + 1,
            at=self._clock(),
            conditions=tuple(vitals.conditions()),
            progress=progress,
            held=vitals.held(),
        )
        metrics.LAG.clear()  # partitions move: what is not ours any more must not be told
        for one in (one for one in progress if one.partition != NO_PARTITION):
            for reach in (reach for reach in one.reaches if reach.done != NOT_TOLD):
                metrics.LAG.labels(topic=reach.topic, partition=str(one.partition)).set(reach.lag)
