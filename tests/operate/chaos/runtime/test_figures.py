"""How long nobody worked, from the effects' own times."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.operate.chaos.blows import Struck
from streams.operate.chaos.runtime import figures
from streams.operate.chaos.runtime.evidence import Found
from streams.operate.chaos.runtime.plan import Kind
from tests.operate.chaos.runtime.builders import good


def found(*, partition: int, at: float, **more: Any) -> Found:
    """An effect of this partition at that time."""
    first = good().found[0]
    return msgspec.structs.replace(
        first, at=at, effect=msgspec.structs.replace(first.effect, partition=partition, **more)
    )


EFFECTS = figures.by_partition(
    [
        found(partition=0, at=10.0),
        found(partition=0, at=14.5, member="chaos-1", pid=2),  # taken over
        found(partition=0, at=15.0, member="chaos-1", pid=2),
        found(partition=1, at=10.5, member="chaos-2", pid=3),
        found(partition=1, at=11.0, member="chaos-2", pid=4),  # the same member, started again
    ]
)


def test_the_longest_gap_of_each_partition_comes_first() -> None:
    """With the moment when it began."""
    assert [(gap.partition, gap.seconds, gap.at) for gap in figures.gaps(EFFECTS)] == [(0, 4.5, 10.0), (1, 0.5, 10.5)]


def test_a_partition_that_goes_to_another_process_is_a_takeover() -> None:
    """Also to the next process of the same member."""
    assert figures.takeovers(EFFECTS) == 2


def test_a_failover_lasts_from_the_blow_to_the_next_effect_of_the_struck_ones_partitions() -> None:
    """Of another worker's partitions it says nothing; a blow to the broker strikes all, until it is back."""
    struck = [
        Struck(number=1, kind=Kind.KILL, member="chaos-0", at=10.5, until=11.0),
        Struck(number=2, kind=Kind.BROKER_KILL, member="", at=9.0, until=10.75),
        Struck(number=3, kind=Kind.ADD, member="chaos-3", at=10.75, until=11.0),
    ]
    failovers = figures.failovers(EFFECTS, struck)
    assert failovers.keys() == {Kind.KILL, Kind.BROKER_KILL}
    assert failovers[Kind.KILL] == figures.Failover(rounds=1, partitions=1, median_s=4.0, longest_s=4.0)
    assert failovers[Kind.BROKER_KILL] == figures.Failover(rounds=1, partitions=2, median_s=2.0, longest_s=3.8)


def test_a_blow_to_the_broker_before_the_next_effect_hides_the_blow_before_it() -> None:
    """Nobody can say which of the two the partition waited for; nor of one that stood still before."""
    struck = [
        Struck(number=1, kind=Kind.REMOVE, member="chaos-0", at=10.5, until=11.0),
        Struck(number=2, kind=Kind.BROKER_KILL, member="", at=12.0, until=15.5),
        Struck(number=3, kind=Kind.KILL, member="chaos-0", at=14.0, until=14.0),
    ]
    assert figures.failovers(EFFECTS, struck) == {}
