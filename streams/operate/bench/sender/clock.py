"""The clock of one run: wall time, CPU and the sender's own word between two counts of the receiver.

The time runs in the middle.  Before the first mark slots are still being taken over, after the last some lanes are
empty already.  CPU is the process's by the operating system, all threads; the broker's beside it, where it is ours.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import psutil

from streams.operate.bench.sender.page import Told

# Of all messages, this share goes by before the clock starts and after it stops.
MARGIN: Final = 0.2
# A mark is late by this at most: 0.2 % of a run of 5 s.
LOOK_S: Final = 0.01


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What happened between the marks."""

    messages: int
    wall_s: float
    cpu_s: Mapping[str, float]  # by process: the sender's, the broker's
    told: Told

    @property
    def per_s(self) -> float:
        """Messages a second."""
        return self.messages / self.wall_s

    @property
    def commits_per_s(self) -> float:
        """Transactions a second, all slots together."""
        return self.told.commits / self.wall_s

    def cpu_ms(self, process: str) -> float | None:
        """CPU time a message; None of a process that is not ours."""
        used = self.cpu_s.get(process)
        return None if used is None else used * 1000 / self.messages


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    messages: int
    cpu_s: dict[str, float]


class Late(Exception):  # an end of its own kind, told to the reader
    """No more messages came, or the sender is gone."""


def measure(
    count: Callable[[], int],
    told: Callable[[], Told],
    pids: Mapping[str, int],
    *,
    messages: int,
    patience_s: float,
    alive: Callable[[], bool],
) -> Measured:
    """Wait until `count` has reached `messages`, and take the time of the middle.

    Raises Late where the sender is not alive, or nothing came for `patience_s`.
    """
    aside = int(messages * MARGIN)
    reach = _Reach(count, patience_s, alive)
    reach(max(1, aside))
    before = told()  # first: what it costs is not in what is measured
    began = _mark(count, pids)
    reach(messages - aside)
    ended = _mark(count, pids)
    after = told()
    reach(messages)
    return Measured(
        messages=ended.messages - began.messages,
        wall_s=ended.at - began.at,
        cpu_s={name: ended.cpu_s[name] - used for name, used in began.cpu_s.items()},
        told=after.since(before),
    )


class _Reach:
    """Waits until the count has reached something."""

    def __init__(self, count: Callable[[], int], patience_s: float, alive: Callable[[], bool]) -> None:
        self._count = count
        self._patience_s = patience_s
        self._alive = alive

    def __call__(self, wanted: int) -> None:
        reached, moved_at = -1, time.monotonic()
        while (now := self._count()) < wanted:
            if now > reached:
                reached, moved_at = now, time.monotonic()
            elif time.monotonic() - moved_at > self._patience_s or not self._alive():
                raise Late(f"with {now:,} messages at the receiver")
            time.sleep(LOOK_S)


def _mark(count: Callable[[], int], pids: Mapping[str, int]) -> _Mark:
    cpu_s: dict[str, float] = {}
    for name, pid in pids.items():
        times = psutil.Process(pid).cpu_times()
        cpu_s[name] = times.user + times.system
    return _Mark(at=time.perf_counter(), messages=count(), cpu_s=cpu_s)
