"""What a run left in Kafka, read aside: inputs and effects by their coordinates, the table by its changelog."""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.topics import BY_NAME
from streams.operate.chaos import events
from streams.operate.chaos.events import Effect
from streams.operate.chaos.sampler import Sample
from streams.runtime.cluster import read_all
from streams.runtime.observer import Observer, Place
from streams.runtime.settings import Settings

Source = tuple[str, int, int]  # an event's topic (declared name), partition, offset


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One event as Kafka has it."""

    number: int
    key: str
    at: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One effect as a read-committed reader sees it, and where it stands on the output."""

    effect: Effect
    offset: int
    at: float

    @property
    def source(self) -> Source:
        """The event that it names."""
        return self.effect.topic, self.effect.partition, self.effect.offset


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    asked: Mapping[Source, Asked]  # each source partition's in the order of offsets
    found: tuple[Found, ...]  # each output partition's in the order of offsets
    table: Mapping[bytes, bytes]
    committed: Mapping[Place, int]  # by the topic's declared name, as all below
    ends: Mapping[Place, int]
    samples: tuple[Sample, ...]


def gather(settings: Settings, group: str, samples: tuple[Sample, ...] = ()) -> Evidence:
    """Read it.  Raises ClusterUnreachableError."""
    asked = {
        (topic, record.partition, record.offset): Asked(
            number=int(record.value or b"0"), key=record.key, at=record.at.timestamp() if record.at else 0.0
        )
        for topic in events.SOURCES
        for record in read_all(settings, BY_NAME[topic])
    }
    found = tuple(
        Found(
            effect=msgspec.json.decode(record.value or b"{}", type=Effect),
            offset=record.offset,
            at=record.at.timestamp() if record.at else 0.0,
        )
        for record in read_all(settings, BY_NAME[events.OUTPUT])
    )
    table: dict[bytes, bytes] = {}
    for record in read_all(settings, BY_NAME[events.CHANGELOG]):
        if record.value is None:
            table.pop(record.key.encode(), None)
        else:
            table[record.key.encode()] = record.value
    observer = Observer(settings.kafka, group)
    places = [
        (settings.topic(topic), partition)
        for topic in events.SOURCES
        for partition in range(settings.kafka.gate_partitions)
    ]
    return Evidence(
        asked=asked,
        found=found,
        table=table,
        committed=declared(settings, observer.committed(places)),
        ends=declared(settings, observer.ends(places, "high")),
        samples=tuple(
            Sample(
                at=one.at,
                committed=declared(settings, one.committed),
                high=declared(settings, one.high),
                stable=declared(settings, one.stable),
            )
            for one in samples
        ),
    )


def declared(settings: Settings, offsets: Mapping[Place, Any]) -> dict[Place, Any]:
    """By the topics' declared names."""
    cut = len(settings.kafka.prefix)
    return {(topic[cut:], partition): offset for (topic, partition), offset in offsets.items()}
