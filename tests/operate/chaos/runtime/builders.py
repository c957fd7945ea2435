"""The evidence of a small run in which all went well, and what a broken runtime would have left instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from streams.operate.chaos.commits import Offsets
from streams.operate.chaos.runtime import events
from streams.operate.chaos.runtime.events import Effect
from streams.operate.chaos.runtime.evidence import Asked, Evidence, Found, PlainFound, Source
from streams.operate.chaos.sampler import Sample
from streams.runtime.commit_log import Commit
from streams.runtime.observer import Place

PARTITIONS: Final = 2
EVENTS: Final = 400


def good() -> Evidence:
    """Both sources of each partition decided in turn, sampled every half second as they were."""
    asked: dict[Source, Asked] = {}
    found: list[Found] = []
    table: dict[bytes, bytes] = {}
    committed: dict[Place, int] = {}
    written = dict.fromkeys(range(PARTITIONS), 0)
    samples: list[Sample] = []
    log: list[Commit] = []
    for number in range(1, EVENTS + 1):
        partition, topic = number % PARTITIONS, events.SOURCES[number % 5 > 0]
        offset = committed.get((topic, partition), 0)
        at = 1_000.0 + number / 10
        key = events.person(number)
        asked[topic, partition, offset] = Asked(number=number, key=key, at=at)
        place = events.person_key(topic, key.encode())
        count, chain = events.parsed(table.get(place))
        count, chain = count + 1, events.linked(chain, number)
        table[place] = events.entry(count, chain)
        effect = Effect(
            topic=topic,
            partition=partition,
            offset=offset,
            number=number,
            count=count,
            chain=chain.decode(),
            member="chaos-0",
            pid=1,
        )
        found.append(Found(effect=effect, offset=written[partition], at=at + 0.01))
        written[partition] += 2  # a commit marker stands between
        committed[topic, partition] = offset + 1
        log.append(Commit(place=(topic, partition), offset=offset + 1))
        if number % 5 == 0:
            ends = {(events.OUTPUT, one): end for one, end in written.items()}
            samples.append(Sample(at=at + 0.02, committed=dict(committed), high=ends, stable=ends))
    plain = [_plain(number) for number in range(EVENTS // 10)]
    return Evidence(
        asked=asked,
        found=tuple(found),
        table=table,
        offsets=Offsets(committed=committed, ends=committed, samples=tuple(samples), log=tuple(log)),
        plain_asked={one.source: Asked(number=one.number, key="k", at=1_000.0) for one in plain},
        plain_found=tuple(plain),
        plain_offsets=_plain_offsets(plain),
    )


def _plain(number: int) -> PlainFound:
    source = (events.PLAIN_SOURCE, number % PARTITIONS, number // PARTITIONS)
    return PlainFound(source=source, number=number, offset=number // PARTITIONS)


def _plain_offsets(found: Iterable[PlainFound]) -> Offsets:
    """A sample after each event."""
    committed: dict[Place, int] = {}
    samples: list[Sample] = []
    log: list[Commit] = []
    for one in found:
        topic, partition, offset = one.source
        committed[topic, partition] = offset + 1
        log.append(Commit(place=(topic, partition), offset=offset + 1))
        ends = {(events.PLAIN_OUTPUT, place[1]): end for place, end in committed.items()}
        samples.append(Sample(at=1_000.0 + len(samples) / 2, committed=dict(committed), high=ends, stable=ends))
    return Offsets(committed=committed, ends=committed, samples=tuple(samples), log=tuple(log))


def without_effect(evidence: Evidence, number: int) -> Evidence:
    """The event's effect is nowhere."""
    return _with(evidence, (one for one in evidence.found if one.effect.number != number))


def with_effect_twice(evidence: Evidence, number: int) -> Evidence:
    """The event's effect is there twice."""
    doubled = next(one for one in evidence.found if one.effect.number == number)
    return _with(evidence, [*evidence.found, msgspec.structs.replace(doubled, offset=doubled.offset + 1)])


def with_effect_of(evidence: Evidence, offset: int) -> Evidence:
    """An effect that names an event which never was."""
    first = evidence.found[0]
    strange = msgspec.structs.replace(first.effect, offset=offset)
    return _with(evidence, [*evidence.found, msgspec.structs.replace(first, effect=strange)])


def with_committed(offsets: Offsets, *, sample: int, ahead: int) -> Offsets:
    """At one moment the group had committed so many more events than were finished."""
    samples = list(offsets.samples)
    moved = {place: offset + ahead for place, offset in samples[sample].committed.items()}
    samples[sample] = msgspec.structs.replace(samples[sample], committed=moved)
    return msgspec.structs.replace(offsets, samples=tuple(samples))


def with_stable(offsets: Offsets, stable: Mapping[Place, int]) -> Offsets:
    """From the first moment to the last, readers of committed records saw no more than this."""
    samples = tuple(msgspec.structs.replace(one, stable=stable) for one in offsets.samples)
    return msgspec.structs.replace(offsets, samples=samples)


def with_log_back(offsets: Offsets, *, commit: int) -> Offsets:
    """In the broker's log one commit is followed by one that is three events lower; later ones are as they were."""
    at = offsets.log[commit]
    lower = msgspec.structs.replace(at, offset=(at.offset or 0) - 3)
    return msgspec.structs.replace(offsets, log=(*offsets.log[: commit + 1], lower, *offsets.log[commit + 1 :]))


def short(offsets: Offsets) -> Offsets:
    """The last event of each partition is not committed."""
    committed = {place: offset - 1 for place, offset in offsets.committed.items()}
    return msgspec.structs.replace(offsets, committed=committed)


def _with(evidence: Evidence, found: Iterable[Found]) -> Evidence:
    return msgspec.structs.replace(evidence, found=tuple(found))
