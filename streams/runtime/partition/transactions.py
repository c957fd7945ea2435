"""A partition's batches in transactions: a fenced producer for each that a worker owns (DESIGN.md, choice 4).

`commit` makes a batch's records and its source offsets visible together or not at all, in these steps:

1. begin; produce; name the source offsets (AddOffsets, TxnOffsetCommit); wait until every record is on the broker.
   What fails up to here is aborted, and a confirmed abort means that nothing happened: TransactionAbortedError.
2. commit (`fenced`).

Nothing is decided again from memory after step 2.  All calls block: make them from a thread.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn, Protocol

from confluent_kafka import KafkaError, Message, TopicPartition

from streams.runtime.errors import FencedError, RecordRefusedError, TransactionAbortedError
from streams.runtime.partition.fenced import (
    RAISED,
    REFUSALS,
    TRANSACTION_TIMEOUT_MS,
    Fenced,
    Fencing,
    cause_of,
)
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.record import Record
from streams.runtime.unproven import verdict

# While librdkafka's queue is full, reports are served for so long (s) between two tries.
FULL_S: Final = 0.01
# How late a refusal is noticed while other records of the batch wait.
LOOK_S: Final = 0.1


class PartitionProducer(Fencing, Protocol):
    """What a partition's loop needs of its producer; `FencedProducer` is the one that the product uses."""

    def commit(
        self, records: Sequence[Record], offsets: Mapping[tuple[str, int], int], group: GroupOffsets, *, changelog: str
    ) -> int | None:
        """Make a batch and its source offsets durable; returns the last offset on `changelog`."""


class FencedProducer(Fenced):
    """Writes a partition's batches."""

    def commit(
        self, records: Sequence[Record], offsets: Mapping[tuple[str, int], int], group: GroupOffsets, *, changelog: str
    ) -> int | None:
        """Write records and source offsets in one transaction.

        Returns the offset of the last record on the topic `changelog`, if any.  Raises TransactionAbortedError
        where nothing happened and the batch can be decided again (RecordRefusedError: one of its records is the
        reason), FencedError where this producer is not, or not certainly, the owner any more.
        """
        reports = _Reports()
        try:
            self._producer.begin_transaction()
            for record in records:
                self._produce(record, reports.changelog if record.topic == changelog else reports.output)
            positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
            if positions:
                self.name_offsets(positions, group)
            left = self._delivered(reports)
        except RAISED as error:
            self._abort(reports.failed or cause_of(error))
        if reports.failed is not None or left:
            self._abort(reports.failed or KafkaError(KafkaError._MSG_TIMED_OUT))  # noqa: SLF001  # librdkafka's name for it
        self.finish()
        return reports.highest

    def _produce(self, record: Record, report: Callable[[KafkaError | None, Message], None]) -> None:
        while True:
            try:
                self.hand_over(record, report)
            except BufferError:
                self._producer.poll(FULL_S)
            else:
                return

    def _delivered(self, reports: "_Reports") -> int:
        """Wait until all is on the broker, or one is refused: librdkafka then keeps the rest until the abort."""
        deadline = time.monotonic() + TRANSACTION_TIMEOUT_MS / 1000
        while (left := self._producer.flush(LOOK_S)) and reports.failed is None and time.monotonic() < deadline:
            pass
        return int(left)

    def _abort(self, cause: KafkaError) -> NoReturn:
        if cause.fatal():
            raise FencedError(self.transactional_id, str(cause))
        self.give_back(cause)
        refused = cause.code() in REFUSALS
        raise (RecordRefusedError if refused else TransactionAbortedError)(self.transactional_id, str(cause))


class _Reports:
    """The delivery reports of one transaction; each record names the one of the two that is told of it."""

    def __init__(self) -> None:
        self.highest: int | None = None  # offset on the changelog
        self.failed: KafkaError | None = None

    def output(self, error: KafkaError | None, message: Message) -> None:
        """A record that is no table's."""
        if (failed := verdict(error, message)) is not None:
            self.failed = self.failed or failed  # what fails after the first fails because of it

    def changelog(self, error: KafkaError | None, message: Message) -> None:
        """A record of the table."""
        offset = message.offset()
        if error is not None or offset is None:
            self.output(error, message)
        elif self.highest is None or offset > self.highest:
            self.highest = offset
