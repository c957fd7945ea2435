"""What is measured: workloads, and the sides that do each of them.

Each side of a workload means the same: every event once, what it causes durable before it counts as done, and its
offset committed within a second.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from streams.operate.bench.processes import Process
from streams.runtime.app import MAX_POLL_RECORDS

Workload = Literal["raw", "table", "send", "ack", "latency"]
# stock: Faust 0.15.3 · ours: the hardened runtime · transactions: ours, a batch a transaction · plain: the very agent
# of stock on our transport.
Side = Literal["stock", "ours", "transactions", "plain"]

WORKLOADS: Final[dict[Workload, str]] = {
    "raw": "take each event, do nothing",
    "table": "one table write an event, its changelog in Kafka",
    "send": "one record sent an event, on all replicas before the event is done",
    "ack": "an agent whose events are acked one by one",
    "latency": "from produce to visible for a read-committed reader, idle and busy",
}
# Latency has one side, and is measured from outside (latency.py).
SIDES: Final[dict[Workload, tuple[Side, ...]]] = {
    "raw": ("stock", "ours"),
    "table": ("stock", "ours", "transactions"),
    "send": ("stock", "ours", "plain"),
    "ack": ("stock", "ours"),
}
# The source's partitions: all of them belong to the one worker that is measured.
PARTITIONS: Final = 4
SOURCE: Final = "source"
# Events of the same person: a campaign of 20,000 events reaches each of 2,000 persons ten times.
EVENTS_PER_PERSON: Final = 10
# Events before the clock starts and after it stops.  One poll's worth (runtime/app.py): at both marks a side then has
# as much fetched and not yet done, so what it did ahead of the first mark is not missing from its costs.
MARGIN: Final = MAX_POLL_RECORDS
# Of a short run, this share at each end.
MARGIN_SHARE: Final = 0.2
# Sends of a stock agent under way; beyond it the agent waits for the oldest.  Ours have 1,000 a partition.
SENDS_UNDER_WAY: Final = 4_000
# As often does each side commit its offsets.
COMMIT_INTERVAL_S: Final = 1.0
# A process begins, joins its group and ends within this; and the slowest side does so many events a second on a machine
# that has other work.
START_S: Final = 60.0
SLOWEST_PER_S: Final = 250


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What one measured process is to do, as its argument."""

    workload: Workload
    side: Side
    run: str  # makes its group, its topics and its files its own
    source: str = SOURCE
    events: int  # that it will be given
    first: int  # of them before the clock starts
    last: int  # of them after it stops

    @property
    def output(self) -> str:
        """The topic of the records sent."""
        return f"{self.run}-out"

    @property
    def changelog(self) -> str:
        """The topic of the table's changelog."""
        return f"{self.run}-changelog"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a process measured of itself."""

    events: int  # while the clock ran
    wall_s: float
    cpu_s: float
    seen: int  # all events that were done
    checksum: int  # the sum of their offsets
    loop: str
    # Where events are done in batches: how long each commit took, and how long its batch gathered after the last one.
    commit_ms: tuple[float, ...] = ()
    gather_ms: tuple[float, ...] = ()

    @property
    def per_s(self) -> float:
        """Events a second."""
        return self.events / self.wall_s

    @property
    def per_cpu_s(self) -> float:
        """Events a second of CPU, all threads of the process together."""
        return self.events / self.cpu_s


def process(task: Task) -> Process[Measured]:
    """The process that does it."""
    return Process(
        module="streams.operate.bench.side",
        name=task.run,
        task=task,
        found=Measured,
        limit_s=START_S + task.events / SLOWEST_PER_S,
    )


def margin(events: int) -> int:
    """How many of so many events go by before the clock starts, and after it stops."""
    return min(MARGIN, int(events * MARGIN_SHARE))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not pass (nearest rank); 0 of none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0
