"""A worker that stands still ends itself, so that whoever supervises it starts it anew (FAUST.md 15).

1. A thread looks each second at the latest `Look` (vitals.py).
2. `Watch`, pure, adds up how long each owner has not moved while something was left for it to do, and how long the
   event loop has not run.  A hold (a view that is not fresh) stops the clock, and so does a stop of the whole process:
   SIGSTOP is nobody's fault, and no second counts that the watchdog did not see itself.
3. Half way to a verdict on an owner, and again before it, the cluster is asked whether it answers for what stands
   (asking.py).  Where it does not, to start anew would help nobody: there is no verdict, and patience begins anew.  So
   a worker has half of it at least, from when its cluster is back, to move.  The event loop needs no cluster to run.
4. Past its patience: one line that names what stands, the stacks of all threads (faulthandler: no values, no
   addresses), and the process ends with STALLED_EXIT.  No orderly end is tried: it would get stuck as well.
"""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from streams.runtime.life.stopping import STALLED_EXIT
from streams.runtime.life.vitals import Look, Progress, Pulse

log = structlog.get_logger(__name__)

LOOK_S: Final = 1.0
# One look stands for at most so much time: a longer gap is one in which this process did not run.
LONGEST_LOOK_S: Final = 3.0
# A turn of a busy loop takes 0.2 s, the longest known (a batch at the gate) 0.5 s; members are put out after 12 s.
LOOP_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Stall:
    """What stands still: an owner, or (None) the event loop."""

    seconds: float
    progress: Progress | None = None


def _always(_: Progress) -> bool:
    """Of a cluster that is there."""
    return True


class Watch:
    """Adds up stillness, look by look."""

    def __init__(self, *, loop_patience_s: float = LOOP_PATIENCE_S) -> None:
        self._loop_patience_s = loop_patience_s
        self._beat = -1
        self._loop_still_s = 0.0
        self._done: dict[int, tuple[int, ...]] = {}
        self._still_s: dict[int, float] = {}

    def observe(self, look: Look, seconds: float, *, answers: Callable[[Progress], bool] = _always) -> Stall | None:
        """Take what was seen `seconds` after the observation before.

        `answers`: whether the cluster does, for an owner that stands still; asked only where that matters.
        """
        counted = min(seconds, LONGEST_LOOK_S)
        if look.beat == self._beat:
            self._loop_still_s += counted
            return Stall(seconds=self._loop_still_s) if self._loop_still_s >= self._loop_patience_s else None
        self._beat, self._loop_still_s = look.beat, 0.0
        before, self._done = self._done, {one.partition: one.done for one in look.progress}
        still, self._still_s = self._still_s, {}
        away = False  # one that does not answer is not asked for each owner
        for one in look.progress:
            if one.lag == 0 or before.get(one.partition) != one.done:
                continue
            until_now = still.get(one.partition, 0.0)
            so_far = until_now + (counted if look.held is None else 0.0)
            over = so_far >= one.patience_s
            if over or until_now < one.patience_s / 2 <= so_far:
                away = away or not answers(one)
                if away:
                    continue
            if over:
                return Stall(seconds=so_far, progress=one)
            self._still_s[one.partition] = so_far
        return None


class Watchdog:
    """The thread."""

    def __init__(
        self, pulse: Pulse, *, answers: Callable[[Progress], bool], loop_patience_s: float = LOOP_PATIENCE_S
    ) -> None:
        self._pulse = pulse
        self._answers = answers
        self._watch = Watch(loop_patience_s=loop_patience_s)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._over.wait(LOOK_S):
            now = time.monotonic()
            stall = self._watch.observe(self._pulse.last, now - before, answers=self._answers)
            before = now
            if stall is not None and not self._over.is_set():
                end(stall)


def end(stall: Stall) -> None:
    """Say what stands still, and end this process."""
    seconds = round(stall.seconds, 1)
    if stall.progress is None:
        log.error("event loop stands still: worker ends", seconds=seconds, exit=STALLED_EXIT)
    else:
        worst = max(stall.progress.reaches, key=lambda reach: reach.lag)
        log.error(
            "partition stands still: worker ends",
            topic=worst.topic,
            partition=stall.progress.partition,
            position=worst.done,
            lag=worst.lag,
            seconds=seconds,
            exit=STALLED_EXIT,
        )
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    sys.stderr.flush()
    os._exit(STALLED_EXIT)
