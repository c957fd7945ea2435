"""Counts events and takes the time of those in the middle, of which as many are fetched ahead at both ends.

Wall time, and the CPU time of the whole process with all its threads.  What is reported is `one` event, or how far a
partition is done: the source's offsets have no gaps, so both come to the same.
"""

import asyncio
import itertools
import sys
import threading
import time
from typing import NamedTuple

from streams.operate.bench.workloads import Measured, Task
from streams.runtime.transport import Ledger


class Commit(NamedTuple):
    """A batch's commit, in seconds of the monotonic clock."""

    began: float
    ended: float


class Meter:
    """One run's; made in the event loop that waits for `ended`."""

    def __init__(self, task: Task) -> None:
        self._marks_at = [max(1, task.first), task.events - task.last, task.events]
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._done: dict[int, int] = {}
        self._marks: list[tuple[int, float, float]] = []
        self._commits: dict[int, list[Commit]] = {}
        self.seen = 0
        self.checksum = 0
        self.ended = asyncio.Event()

    def one(self, offset: int) -> None:
        """An event is done."""
        self.seen += 1
        self.checksum += offset
        if self.seen >= self._marks_at[0]:
            self._mark()

    def reached(self, partition: int, following: int, commit: Commit) -> None:
        """A partition is done below this offset, by a commit; from any thread."""
        with self._lock:
            before = self._done.get(partition, 0)
            self._done[partition] = following
            self.seen += following - before
            self.checksum += sum(range(before, following))
            if self._marks:
                self._commits.setdefault(partition, []).append(commit)
            if self.seen >= self._marks_at[0]:
                self._mark()

    def _mark(self) -> None:
        mark = (self.seen, time.perf_counter(), time.process_time())
        while self._marks_at[0] <= self.seen:
            self._marks.append(mark)
            self._marks_at.pop(0)
            if not self._marks_at:  # what comes beyond is counted, and found to be too much
                self._marks_at.append(sys.maxsize)
                self._loop.call_soon_threadsafe(self.ended.set)

    def measured(self) -> Measured:
        """The result, once `ended`."""
        (first, began, cpu), (last, finished, used), _ = self._marks
        commits = [one for of_partition in self._commits.values() for one in of_partition]
        gathered = [
            after.began - before.ended
            for of_partition in self._commits.values()
            for before, after in itertools.pairwise(of_partition)
        ]
        return Measured(
            events=last - first,
            wall_s=finished - began,
            cpu_s=used - cpu,
            seen=self.seen,
            checksum=self.checksum,
            loop=type(self._loop).__module__.partition(".")[0],
            commit_ms=tuple(round((one.ended - one.began) * 1000, 2) for one in commits),
            gather_ms=tuple(round(pause * 1000, 2) for pause in gathered),
        )


class MeteredLedger(Ledger):
    """The ledger of a measured app: what is done there is done."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def done(self, topic: str, partition: int, offset: int) -> None:
        """As the ledger's own, and counted."""
        super().done(topic, partition, offset)
        self._meter.one(offset)
