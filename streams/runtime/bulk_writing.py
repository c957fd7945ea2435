"""Millions of records into a topic, as fast as one process can: batches over librdkafka, each report counted.

For benches, which fill what a role then reads.  Where a single record matters, use `RecordProducer` or `Publisher`.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from streams.runtime.clients import librdkafka
from streams.runtime.errors import PublishFailedError
from streams.runtime.settings import Settings
from streams.runtime.unproven import verdict

# Handed over in one call; a tenth of the queue, so that reports are served while it drains.
_BATCH: Final = 10_000
_QUEUE: Final = 10 * _BATCH
_FULL_S: Final = 0.05
_END_S: Final = 120.0


def write(settings: Settings, topic: str, records: Iterable[tuple[bytes, bytes]], *, partitions: int) -> int:
    """Write keys and values to the topic (its full name), a batch to each partition in turn; returns their number.

    Raises PublishFailedError where one did not arrive.
    """
    failures: list[str] = []

    def report(error: KafkaError | None, message: Message) -> None:
        if (failed := verdict(error, message)) is not None:
            failures.append(failed.str())

    producer = Producer(
        librdkafka(
            settings.kafka,
            acks="all",
            enable_idempotence=True,
            linger_ms=20,
            compression_type="lz4",
            queue_buffering_max_messages=_QUEUE,
            queue_buffering_max_kbytes=256 * 1024,
            batch_size=512 * 1024,
        )
    )
    written = 0
    for number, batch in enumerate(_batches(records)):
        left = batch
        while left:
            producer.produce_batch(topic, left, partition=number % partitions, on_delivery=report)
            left = [one for one in left if one.pop("_error", None) is not None]  # those that found the queue full
            producer.poll(_FULL_S if left else 0)
        written += len(batch)
    unsent = producer.flush(_END_S)
    if failures or unsent:
        raise PublishFailedError(failed=len(failures) + unsent, reason=failures[0] if failures else "time ran out")
    return written


def _batches(records: Iterable[tuple[bytes, bytes]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(records)
    while batch := [{"key": key, "value": value} for key, value in islice(rest, _BATCH)]:
        yield batch
