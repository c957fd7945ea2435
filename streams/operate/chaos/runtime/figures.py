"""How long nobody worked, and how often work changed hands.  Pure; from the effects' own times."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

import msgspec

from streams.operate.chaos.blows import Struck
from streams.operate.chaos.runtime.evidence import Evidence, Found
from streams.operate.chaos.runtime.plan import Kind

Owner = tuple[str, int]  # member, pid
# A partition without an effect for so long (s) before a blow stood still: working ones have several a second.
WORKED_S: Final = 3.0


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The longest time that a partition gave no effect."""

    partition: int
    seconds: float
    at: float


class Failover(msgspec.Struct, frozen=True, kw_only=True):
    """Over all rounds of a kind: how long the struck worker's partitions gave nothing (s)."""

    rounds: int
    partitions: int
    median_s: float
    longest_s: float


def by_partition(found: Iterable[Found]) -> dict[int, list[Found]]:
    """Each partition's effects in the order of their times."""
    partitions: dict[int, list[Found]] = defaultdict(list)
    for one in found:
        partitions[one.effect.partition].append(one)
    for effects in partitions.values():
        effects.sort(key=lambda one: one.at)
    return dict(partitions)


def gaps(partitions: Mapping[int, Sequence[Found]]) -> list[Gap]:
    """Each partition's longest, the longest first."""
    found = [
        max(
            (Gap(partition=partition, seconds=after.at - before.at, at=before.at) for before, after in pairwise(there)),
            key=lambda gap: gap.seconds,
        )
        for partition, there in partitions.items()
        if len(there) > 1
    ]
    return sorted(found, key=lambda gap: -gap.seconds)


def takeovers(partitions: Mapping[int, Sequence[Found]]) -> int:
    """How often a partition's next effect came from another process than the one before."""
    return sum(_owner(before) != _owner(after) for there in partitions.values() for before, after in pairwise(there))


def failovers(partitions: Mapping[int, Sequence[Found]], struck: Sequence[Struck[Kind]]) -> dict[Kind, Failover]:
    """From the blow to the next effect of each partition that the struck worker had.

    Of the broker: from its return, of each partition; while it is away nobody can do anything.  A partition that stood
    still already, or for which the broker was struck before its next effect, says nothing of this blow.
    """
    waited: dict[Kind, list[float]] = defaultdict(list)
    rounds: dict[Kind, int] = defaultdict(int)
    broker = [one.at for one in struck if not one.member]
    for one in struck:
        if one.kind is Kind.ADD:
            continue
        rounds[one.kind] += 1
        since = one.at if one.member else one.until
        for there in partitions.values():
            pair = _around(there, since)
            if pair is None or any(since < at < pair[1].at for at in broker):
                continue
            if not one.member or (one.member == pair[0].effect.member and since - pair[0].at <= WORKED_S):
                waited[one.kind].append(pair[1].at - since)
    return {
        kind: Failover(
            rounds=rounds[kind],
            partitions=len(seconds),
            median_s=round(median(seconds), 1),
            longest_s=round(max(seconds), 1),
        )
        for kind, seconds in sorted(waited.items())
    }


def longest_wait_s(evidence: Evidence) -> float:
    """The longest time from an event's arrival to its effect."""
    return max(
        (one.at - evidence.asked[one.source].at for one in evidence.found if one.source in evidence.asked), default=0.0
    )


def _owner(one: Found) -> Owner:
    return one.effect.member, one.effect.pid


def _around(there: Sequence[Found], at: float) -> tuple[Found, Found] | None:
    return next(((before, after) for before, after in pairwise(there) if before.at <= at < after.at), None)
