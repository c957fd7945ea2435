"""Producers of a partition's loop, for the bench: one that tells the meter what is done, and one without transactions.

What transactions cost is measured against a producer that differs in nothing else: hence confluent-kafka here.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.operate.bench.meter import Commit, Meter
from streams.runtime.app import EvenpostApp
from streams.runtime.clients import librdkafka
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.record import Record
from streams.runtime.partition.transactions import PartitionProducer

# A batch that is not on the broker by then ends the run.
FLUSH_S: Final = 30.0

Offsets = Mapping[tuple[str, int], int]


class Metered:
    """Counts events when the batch that they are in is durable."""

    def __init__(self, inner: PartitionProducer, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter
        self.fence = inner.fence
        self.close = inner.close

    def commit(self, records: Sequence[Record], offsets: Offsets, group: GroupOffsets, *, changelog: str) -> int | None:
        """The inner one's, then the count."""
        began = time.monotonic()
        last = self._inner.commit(records, offsets, group, changelog=changelog)
        commit = Commit(began, time.monotonic())
        for (_, partition), following in offsets.items():
            self._meter.reached(partition, following, commit)
        return last


class WithoutTransactions:
    """As `FencedProducer` but for transactions: each batch is awaited, its offsets go the ledger's way."""

    def __init__(self, app: EvenpostApp, client_id: str) -> None:
        self._app = app
        self._loop = app.loop
        self._producer = Producer(
            librdkafka(
                app.settings.kafka,
                client_id=client_id,
                enable_idempotence=True,
                acks="all",
                linger_ms=1,
                partitioner="murmur2_random",
                compression_type="lz4",
                message_max_bytes=8 * 1024 * 1024,
            )
        )

    def fence(self) -> bool:
        """Nobody else is there."""
        return True

    def commit(self, records: Sequence[Record], offsets: Offsets, group: GroupOffsets, *, changelog: str) -> int | None:
        """Produce, and wait for every report."""
        del group
        highest: list[int] = []
        failed: list[KafkaError] = []

        def output(error: KafkaError | None, message: Message) -> None:
            del message
            if error is not None:
                failed.append(error)

        def of_changelog(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error)
            else:
                highest.append(message.offset() or 0)

        for record in records:
            report = of_changelog if record.topic == changelog else output
            self._producer.produce(record.topic, record.value, record.key, record.partition or 0, report)
        self._producer.flush(FLUSH_S)
        if failed:
            raise KafkaException(failed[0])
        for (topic, partition), following in offsets.items():
            self._loop.call_soon_threadsafe(self._done, topic, partition, following - 1)
        return max(highest, default=None)

    def _done(self, topic: str, partition: int, offset: int) -> None:
        self._app.ledger.take(topic, partition, offset)
        self._app.ledger.done(topic, partition, offset)

    def close(self) -> None:
        """Let it go: librdkafka ends with the last reference."""
        self._producer.purge()
