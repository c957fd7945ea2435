"""The clock of a measured process."""

from __future__ import annotations

from streams.operate.bench.meter import Commit, Meter, MeteredLedger
from streams.operate.bench.workloads import Task


def task(*, events: int, first: int, last: int) -> Task:
    """So many events, and the margins around what is timed."""
    return Task(workload="raw", side="ours", run="here", events=events, first=first, last=last)


async def test_the_clock_runs_between_the_margins() -> None:
    """Of 100 events, 70 are timed; all are counted, and the end is told."""
    meter = Meter(task(events=100, first=20, last=10))
    ledger = MeteredLedger(meter)
    for offset in range(100):
        ledger.take("topic", 0, offset)
        assert not meter.ended.is_set()
        ledger.done("topic", 0, offset)
    await meter.ended.wait()
    measured = meter.measured()
    assert (measured.events, measured.seen, measured.checksum) == (70, 100, sum(range(100)))
    assert measured.wall_s > 0


async def test_an_event_too_many_is_seen() -> None:
    """What comes again after the end is counted: the audit sees more than there is in Kafka."""
    meter = Meter(task(events=10, first=2, last=0))
    for offset in (*range(10), 9):
        meter.one(offset)
    assert meter.measured().seen == 11


async def test_batches_count_as_far_as_they_reach() -> None:
    """A batch that passes both marks at once ends the run; commits after the first mark are timed, and the pauses."""
    meter = Meter(task(events=30, first=5, last=5))
    meter.reached(0, 10, Commit(0.0, 0.01))
    meter.reached(0, 12, Commit(1.0, 1.01))
    meter.reached(0, 15, Commit(1.03, 1.04))
    meter.reached(1, 15, Commit(2.0, 2.02))
    await meter.ended.wait()
    measured = meter.measured()
    assert (measured.seen, measured.checksum) == (30, 2 * sum(range(15)))
    assert measured.commit_ms == (10.0, 10.0, 20.0)
    assert measured.gather_ms == (20.0,)
