"""What a run left in Kafka, read aside: inputs and effects by their coordinates, the table by its changelog."""

from collections.abc import Mapping, Sequence

import msgspec

from schemas.topics import BY_NAME
from streams.operate.chaos.commits import Offsets
from streams.operate.chaos.runtime import events
from streams.operate.chaos.runtime.events import DEALING, PLAIN, Effect, PlainEffect
from streams.operate.chaos.sampler import Sample, Sampler
from streams.runtime.cluster import KafkaRecord, read_all
from streams.runtime.commit_log import Commit
from streams.runtime.observer import Observer, Place
from streams.runtime.settings import Settings
from streams.runtime.state.tables import OWN

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


class PlainFound(msgspec.Struct, frozen=True, kw_only=True):
    """One effect of a plain agent."""

    source: Source
    number: int
    offset: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; each partition's records in the order of their offsets."""

    asked: Mapping[Source, Asked]
    found: tuple[Found, ...]
    table: Mapping[bytes, bytes]
    offsets: Offsets
    plain_asked: Mapping[Source, Asked]
    plain_found: tuple[PlainFound, ...]
    plain_offsets: Offsets


def gather(settings: Settings, samplers: Mapping[str, Sampler]) -> Evidence:
    """Read it; `samplers` by the kind of workers.  Raises ClusterUnreachableError."""
    table: dict[bytes, bytes] = {}
    for record in read_all(settings, BY_NAME[events.CHANGELOG]):
        if record.key.encode().startswith(OWN):
            continue
        if record.value is None:
            table.pop(record.key.encode(), None)
        else:
            table[record.key.encode()] = record.value
    return Evidence(
        asked=_asked(settings, *events.SOURCES),
        found=tuple(
            Found(effect=msgspec.json.decode(record.value or b"", type=Effect), offset=record.offset, at=_at(record))
            for record in read_all(settings, BY_NAME[events.OUTPUT])
        ),
        table=table,
        offsets=_offsets(settings, DEALING, events.SOURCES, samplers[DEALING]),
        plain_asked=_asked(settings, events.PLAIN_SOURCE),
        plain_found=tuple(_plain(record) for record in read_all(settings, BY_NAME[events.PLAIN_OUTPUT])),
        plain_offsets=_offsets(settings, PLAIN, (events.PLAIN_SOURCE,), samplers[PLAIN]),
    )


def places(settings: Settings, *topics: str) -> list[Place]:
    """Each partition of these topics, by full names."""
    return [(settings.topic(topic), number) for topic in topics for number in range(settings.kafka.gate_partitions)]


def group(settings: Settings, kind: str) -> str:
    """The consumer group of a kind of workers."""
    return f"{settings.kafka.prefix}{kind}"


def _asked(settings: Settings, *topics: str) -> dict[Source, Asked]:
    return {
        (topic, record.partition, record.offset): Asked(
            number=int(record.value or b"0"), key=record.key, at=_at(record)
        )
        for topic in topics
        for record in read_all(settings, BY_NAME[topic])
    }


def _plain(record: KafkaRecord) -> PlainFound:
    effect = msgspec.json.decode(record.value or b"", type=PlainEffect)
    source = (events.PLAIN_SOURCE, effect.partition, effect.offset)
    return PlainFound(source=source, number=effect.number, offset=record.offset)


def _at(record: KafkaRecord) -> float:
    return record.at.timestamp() if record.at else 0.0


def _offsets(settings: Settings, kind: str, topics: Sequence[str], sampler: Sampler) -> Offsets:
    observer = Observer(settings.kafka, group(settings, kind))
    asked = places(settings, *topics)
    sources = frozenset(asked)
    samples, log = tuple(sampler.samples), sampler.commits
    cut = len(settings.kafka.prefix)

    def declared(offsets: Mapping[Place, int]) -> dict[Place, int]:
        return {(topic[cut:], partition): offset for (topic, partition), offset in offsets.items()}

    try:
        return Offsets(
            committed=declared(observer.committed(asked)),
            ends=declared(observer.ends(asked, "high")),
            samples=tuple(
                Sample(
                    at=one.at,
                    committed=declared(one.committed),
                    high=declared(one.high),
                    stable=declared(one.stable),
                )
                for one in samples
            ),
            log=tuple(
                Commit(place=(one.place[0][cut:], one.place[1]), offset=one.offset)
                for one in log
                if one.place in sources
            ),
        )
    finally:
        observer.close()
