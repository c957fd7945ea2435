"""A topic's committed records from a moment on: all its partitions, in no group, nothing committed.

1. Where to begin is asked by the records' times (ListOffsets, KIP-79).
2. `read` gives what came, in order within a partition.
3. `reached` says up to what time everything was read: of a partition that was read to its end, now; of another, its
   latest record's.

Blocking: call it from a thread, one at a time.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import Topic
from streams.runtime.clients import librdkafka
from streams.runtime.observer import LATEST
from streams.runtime.offsets import known
from streams.runtime.settings import Settings

log = structlog.get_logger(__name__)

ANSWER_S: Final = 10.0
BATCH: Final = 5_000
# A reader that looks on needs no more than seconds of what comes; librdkafka's own default is 64 MB a partition.
QUEUED_KB: Final = 16 * 1024


class Following:
    """Reads one topic."""

    def __init__(self, settings: Settings, topic: Topic, *, since: datetime, client_id: str) -> None:
        """Raises KafkaException where the broker does not say where to begin."""
        self._consumer = Consumer(
            librdkafka(
                settings.kafka,
                client_id=client_id,
                group_id=f"{client_id}-following",  # librdkafka wants one; nothing is joined or committed
                isolation_level="read_committed" if topic.committed else "read_uncommitted",
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                enable_partition_eof=True,
                auto_offset_reset="earliest",
                fetch_wait_max_ms=100,
                queued_max_messages_kbytes=QUEUED_KB,
            )
        )
        # The time of each partition's latest record; None: it was read to its end.
        self._at: dict[int, datetime | None] = {}
        self._troubled = False
        try:
            self._consumer.assign(self._begin(settings.topic(topic.name), since))
        except KafkaException:
            self._consumer.close()
            raise

    def _begin(self, name: str, since: datetime) -> list[TopicPartition]:
        found = self._consumer.list_topics(name, timeout=ANSWER_S).topics[name]
        if found.error is not None:
            raise KafkaException(found.error)
        since_ms = int(since.timestamp() * 1000)
        # The ends first: a partition without so late a record is begun where it ended before it was asked for one, so
        # that what is written meanwhile is not passed over.
        ends = {tp.partition: tp.offset for tp in self._offsets(name, found.partitions, LATEST)}
        begins = self._offsets(name, found.partitions, since_ms)
        self._at = dict.fromkeys(found.partitions, since)
        return [
            TopicPartition(name, tp.partition, tp.offset if tp.offset >= 0 else ends[tp.partition]) for tp in begins
        ]

    def _offsets(self, name: str, partitions: Iterable[int], time: int) -> list[TopicPartition]:
        asked = [TopicPartition(name, partition, time) for partition in partitions]
        return known(self._consumer.offsets_for_times(asked, timeout=ANSWER_S))

    def read(self, timeout_s: float) -> list[Message]:
        """The next records.  Raises KafkaException for what no time mends."""
        records: list[Message] = []
        messages: Sequence[Message] = self._consumer.consume(BATCH, timeout=timeout_s)
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
                self._passed(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                self._at[message.partition() or 0] = None
            elif error.fatal():
                raise KafkaException(error)
            elif not self._troubled:
                self._troubled = True  # once, not at each poll while a broker is away
                log.warning("records can't be read now", topic=message.topic(), error=error.str())
        if records:
            self._troubled = False
        return records

    def _passed(self, message: Message) -> None:
        _, at_ms = message.timestamp()
        self._at[message.partition() or 0] = datetime.fromtimestamp(at_ms / 1000, UTC)

    def reached(self, now: datetime) -> datetime:
        """Up to what time everything was read."""
        return min((at for at in self._at.values() if at is not None), default=now)

    def close(self) -> None:
        """Close its client."""
        self._consumer.close()
