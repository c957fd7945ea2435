"""A fenced transactional producer: one for each partition that a worker owns (DESIGN.md, choice 4; KIP-98, KIP-447).

`fence` ends whatever a former owner left open and keeps it from ever committing again.  `commit` makes a batch's
records and its source offsets visible together or not at all.  Blocking: call both from a thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.runtime.clients import librdkafka
from streams.runtime.errors import FencedError, TransactionAbortedError
from streams.runtime.offsets import known
from streams.runtime.settings import KafkaSettings

FENCE_TIMEOUT_S: Final = 30.0
COMMIT_TIMEOUT_S: Final = 10.0
# An owner that dies delays readers until the broker ends its transaction (DESIGN.md, choice 4).
TRANSACTION_TIMEOUT_MS: Final = 5_000
# A begin meets the commit before it, still being marked: librdkafka then waits this long.  5 ms: 11 ms a commit;
# its default of 100 ms: 100 ms a commit (DESIGN.md, choice 4).
RETRY_BACKOFF_MS: Final = 5
# A commit whose result is unknown is asked for again until it is known; 30 times the timeout outlives a broker restart.
COMMIT_ASKS: Final = 30


Report = Callable[[KafkaError | None, Message], None]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record to produce; `topic` is the full name."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)


class GroupOffsets:
    """A group's committed offsets, read and named without being a member of it."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        self._consumer = Consumer(
            librdkafka(kafka, group_id=group, isolation_level="read_committed", enable_auto_commit=False)
        )

    def stable(self, topics: Sequence[str], partition: int) -> dict[str, int]:
        """Committed offset of this partition of each topic (0 where none), with no transaction pending on it.

        Raises KafkaException where one is not known: taken for 0, what a former owner decided would be decided again.
        """
        asked = [TopicPartition(topic, partition) for topic in topics]
        found = known(self._consumer.committed(asked, timeout=FENCE_TIMEOUT_S))
        return {tp.topic: max(tp.offset, 0) for tp in found}

    def metadata(self) -> object:
        """The group's metadata for `send_offsets_to_transaction`: the producer is the fence, not a generation."""
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()


class FencedProducer:
    """The one producer that may write for a partition."""

    def __init__(self, kafka: KafkaSettings, transactional_id: str) -> None:
        self.transactional_id = transactional_id
        self._producer = Producer(
            librdkafka(
                kafka,
                client_id=transactional_id,
                transactional_id=transactional_id,
                transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
                delivery_timeout_ms=TRANSACTION_TIMEOUT_MS,
                retry_backoff_ms=RETRY_BACKOFF_MS,
                linger_ms=1,
                partitioner="murmur2_random",
                compression_type="lz4",
                message_max_bytes=8 * 1024 * 1024,
            )
        )

    def fence(self) -> None:
        """Take the partition over: end the former owner's open transaction and shut it out."""
        try:
            self._producer.init_transactions(FENCE_TIMEOUT_S)
        except KafkaException as error:
            raise FencedError(self.transactional_id, str(error)) from error

    def commit(
        self, records: Sequence[Record], offsets: Mapping[tuple[str, int], int], group: GroupOffsets, *, changelog: str
    ) -> int | None:
        """Write records and source offsets in one transaction.

        Returns the offset of the last record on the topic `changelog`, if any.  Raises TransactionAbortedError
        where nothing happened and the batch can be decided again, FencedError where this producer is no owner any more.
        """
        highest: list[int] = []

        def report(error: KafkaError | None, message: Message) -> None:
            offset = message.offset()
            if error is None and offset is not None and message.topic() == changelog:
                highest.append(offset)

        try:
            self._producer.begin_transaction()
            for record in records:
                self._produce(record, report)
            positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
            if positions:
                self._producer.send_offsets_to_transaction(positions, group.metadata(), COMMIT_TIMEOUT_S)
            self._finish()
        except KafkaException as error:
            self._abort(error)
        return max(highest, default=None)

    def _produce(self, record: Record, report: Report) -> None:
        extra: dict[str, Any] = {} if record.partition is None else {"partition": record.partition}
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    record.value,
                    key=record.key,
                    headers=list(record.headers.items()),
                    on_delivery=report,
                    **extra,
                )
            except BufferError:
                self._producer.poll(0.01)
            else:
                return

    def _finish(self) -> None:
        for _ in range(COMMIT_ASKS):
            try:
                self._producer.commit_transaction(COMMIT_TIMEOUT_S)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
            else:
                return
        raise FencedError(self.transactional_id, "the broker did not say whether the transaction was committed")

    def _abort(self, error: KafkaException) -> None:
        cause = error.args[0]
        if not cause.txn_requires_abort():
            raise FencedError(self.transactional_id, str(cause)) from error
        try:
            self._producer.abort_transaction(COMMIT_TIMEOUT_S)
        except KafkaException as second:
            raise FencedError(self.transactional_id, str(second)) from second
        raise TransactionAbortedError(self.transactional_id, str(cause)) from error
