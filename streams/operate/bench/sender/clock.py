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
    """The messages did not come in time, or the sender is gone."""


def measure(
    count: Callable[[], int],
    told: Callable[[], Told],
    pids: Mapping[str, int],
    *,
    messages: int,
    go_on: Callable[[], bool],
) -> Measured:
    """Wait until `count` has reached `messages`, and take the time of the middle.  Raises Late once `go_on` says no."""
    aside = int(messages * MARGIN)
    _reach(count, max(1, aside), go_on)
    before = told()  # first: what it costs is not in what is measured
    began = _mark(count, pids)
    _reach(count, messages - aside, go_on)
    ended = _mark(count, pids)
    after = told()
    _reach(count, messages, go_on)
    return Measured(
        messages=ended.messages - began.messages,
        wall_s=ended.at - began.at,
        cpu_s={name: ended.cpu_s[name] - used for name, used in began.cpu_s.items()},
        told=after.since(before),
    )


def _reach(count: Callable[[], int], wanted: int, go_on: Callable[[], bool]) -> None:
    while (reached := count()) < wanted:
        if not go_on():
            raise Late(f"{reached:,} messages of {wanted:,} that were waited for")
        time.sleep(LOOK_S)


def _mark(count: Callable[[], int], pids: Mapping[str, int]) -> _Mark:
    cpu_s: dict[str, float] = {}
    for name, pid in pids.items():
        times = psutil.Process(pid).cpu_times()
        cpu_s[name] = times.user + times.system
    return _Mark(at=time.perf_counter(), messages=count(), cpu_s=cpu_s)
