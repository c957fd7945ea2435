"""A fenced transactional producer: one for each partition that a worker owns (DESIGN.md, choice 4; KIP-98, KIP-447).

`fence` ends whatever a former owner left open and keeps it from ever committing again.  `commit` makes a batch's
records and its source offsets visible together or not at all, in these steps:

1. begin; produce; name the source offsets (AddOffsets, TxnOffsetCommit); wait until every record is on the broker.
   What fails up to here is aborted, and a confirmed abort means that nothing happened: TransactionAbortedError.
2. commit.  From here on a failure leaves open whether it happened.  It is asked for again for as long as librdkafka
   says that asking helps; else FencedError: whoever fences next, the same process included, lets the broker finish a
   commit that it had begun, or end what it had not, and reads in the group's stable offsets which of both it was.

Nothing is decided again from memory after step 2.  All calls block: make them from a thread.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.runtime.clients import librdkafka
from streams.runtime.errors import FencedError, RecordRefusedError, TransactionAbortedError
from streams.runtime.partition.group_offsets import Committed, GroupOffsets, raise_where_forbidden
from streams.runtime.settings import KafkaSettings
from streams.runtime.unfit import UNFIT, pairs, refusal
from streams.runtime.unproven import verdict

__all__ = ["Committed", "FencedProducer", "Fencing", "GroupOffsets", "PartitionProducer", "Record"]

# One ask of the broker to be fenced: it answers in 0.3-1 s, and who is told to stop must not wait much longer.
FENCE_ASK_S: Final = 5.0
# An owner that dies delays readers until the broker ends its transaction (DESIGN.md, choice 4).
TRANSACTION_TIMEOUT_MS: Final = 5_000
# A begin meets the commit before it, still being marked: librdkafka then waits this long.  5 ms: 11 ms a commit;
# its default of 100 ms: 100 ms a commit (DESIGN.md, choice 4).
RETRY_BACKOFF_MS: Final = 5
# No call waits without a bound, though librdkafka advises so (-1): after a broker was away its coordinator's connection
# can stay down for good (chaos showed it: one request queued, timed out and queued again each 5 s).  A new producer is
# what helps, and behind a new fence nothing depends on what the old one thought.
CALL_S: Final = 5.0
# Beyond a call's own bound, until it is given up.
LATE_S: Final = 1.0
# A commit is asked for so often: 20 s outlive a broker's restart; after that a new fence tells faster.
COMMIT_ASKS: Final = 4
FULL_S: Final = 0.01
# How often an abort looks for what came back to be tried again.
PURGE_S: Final = 0.02
# How late a refusal is noticed while other records of the batch wait.
LOOK_S: Final = 0.1

# A record that is refused with one of these will be refused again, whoever leads the partition.
REFUSALS: Final = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_RECORD,
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001  # librdkafka's name for it
    KafkaError._INVALID_ARG,  # noqa: SLF001  # as above
}

# How a call of confluent-kafka fails; see `_cause`.
_RAISED: Final = (KafkaException, SystemError)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record to produce; `topic` is the full name."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)


class Fencing(Protocol):
    """What becoming an owner needs of a producer."""

    def fence(self) -> bool:
        """Shut the former owner out; False where the broker has not answered yet: call again."""

    def close(self) -> None:
        """Give it up, whatever it has open."""


class PartitionProducer(Fencing, Protocol):
    """What a partition's loop needs of its producer; `FencedProducer` is the one that the product uses."""

    def commit(
        self, records: Sequence[Record], offsets: Mapping[tuple[str, int], int], group: GroupOffsets, *, changelog: str
    ) -> int | None:
        """Make a batch and its source offsets durable; returns the last offset on `changelog`."""


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

    def fence(self) -> bool:
        """Take the partition over: end the former owner's open transaction and shut it out.

        False where the broker has not answered within FENCE_ASK_S: call again, librdkafka goes on where it was.  Raises
        FencedError where a later one shut this one out meanwhile, ForbiddenError where the cluster refuses.
        """
        try:
            self._producer.init_transactions(FENCE_ASK_S)
        except _RAISED as error:
            cause = _cause(error)
            if cause.retriable():
                return False
            raise_where_forbidden(self.transactional_id, cause)
            raise FencedError(self.transactional_id, str(cause)) from error
        return True

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
                self._name_offsets(positions, group)
            left = self._delivered(reports)
        except _RAISED as error:
            self._abort(reports.failed or _cause(error))
        if reports.failed is not None or left:
            self._abort(reports.failed or KafkaError(KafkaError._MSG_TIMED_OUT))  # noqa: SLF001  # as above
        self.finish()
        return reports.highest

    def _produce(self, record: Record, report: Callable[[KafkaError | None, Message], None]) -> None:
        """By position, and headers only where there are some: half the time of names, for every record that we make."""
        topic, value, key = record.topic, record.value, record.key
        where = -1 if record.partition is None else record.partition  # librdkafka's "any": its partitioner decides
        while True:
            try:
                if record.headers:
                    self._producer.produce(topic, value, key, where, report, headers=pairs(record.headers))
                else:
                    self._producer.produce(topic, value, key, where, report)
            except BufferError:
                self._producer.poll(FULL_S)
            except UNFIT as error:
                raise KafkaException(refusal(topic, error)) from error
            else:
                return

    def _name_offsets(self, positions: list[TopicPartition], group: GroupOffsets) -> None:
        """Add the source offsets to the transaction, in a thread that is left behind where it does not come back.

        librdkafka does not keep this call's bound: where the group's coordinator went away, it asks a connection that
        it has given up, for good.  A producer made anew has no such connection.
        """
        raised: list[BaseException] = []

        def name() -> None:
            try:
                self._producer.send_offsets_to_transaction(positions, group.metadata(), CALL_S)
            except BaseException as error:  # noqa: BLE001  # raised below, in the thread that waits
                raised.append(error)

        thread = threading.Thread(target=name, name=f"{self.transactional_id}-offsets", daemon=True)
        thread.start()
        thread.join(CALL_S + LATE_S)
        if thread.is_alive():
            raise FencedError(self.transactional_id, "librdkafka does not come back from naming the source offsets")
        if raised:
            raise raised[0]

    def _delivered(self, reports: "_Reports") -> int:
        """Wait until all is on the broker, or one is refused: librdkafka then keeps the rest until the abort."""
        deadline = time.monotonic() + TRANSACTION_TIMEOUT_MS / 1000
        while (left := self._producer.flush(LOOK_S)) and reports.failed is None and time.monotonic() < deadline:
            pass
        return int(left)

    def finish(self) -> None:
        """Commit what is delivered: the point of no return.  Raises FencedError where it may not have happened."""
        cause: KafkaError | None = None
        for _ in range(COMMIT_ASKS):
            try:
                self._producer.commit_transaction(CALL_S)
            except _RAISED as error:
                cause = _cause(error)
                if not cause.retriable():
                    break
            else:
                return
        raise FencedError(self.transactional_id, f"nobody can say whether the transaction was committed: {cause}")

    def _abort(self, cause: KafkaError) -> NoReturn:
        if cause.fatal():
            raise FencedError(self.transactional_id, str(cause))
        self.give_back(cause)
        refused = cause.code() in REFUSALS
        raise (RecordRefusedError if refused else TransactionAbortedError)(self.transactional_id, str(cause))

    def give_back(self, cause: KafkaError) -> None:
        """Abort: nothing of the transaction counts.  Raises FencedError where nobody can say so.

        librdkafka purges what waits, and then waits for what is on its way.  What comes back from there to be tried
        again (a batch behind a refused one always does) it would keep until the delivery's time is over, which is the
        transaction's as well: the broker would fence us.  So it is purged again and again.
        """
        over = threading.Event()
        purging = threading.Thread(target=self._purge, args=(over,), name=f"{self.transactional_id}-purge", daemon=True)
        purging.start()
        try:
            self._aborted(cause)
        finally:
            over.set()
            purging.join()  # it must not meet the next transaction

    def _purge(self, over: threading.Event) -> None:
        while not over.wait(PURGE_S):
            self._producer.purge(in_flight=False)

    def _aborted(self, cause: KafkaError) -> None:
        for _ in range(COMMIT_ASKS):
            try:
                self._producer.abort_transaction(CALL_S)
            except _RAISED as error:
                last = _cause(error)
                if not last.retriable():
                    break
            else:
                return
        raise FencedError(self.transactional_id, f"{cause}, then {last}")

    def close(self) -> None:
        """Give the producer up with its 4-5 threads; what it has open, the next fence or the broker's timer ends."""
        self._producer.purge()
        del self._producer  # librdkafka ends with the last reference


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


def _cause(error: KafkaException | SystemError) -> KafkaError:
    """What librdkafka said.

    confluent-kafka raises a fatal error within the call that serves reports; where a report is served after that,
    CPython finds an exception that is set already, and says so by a SystemError.
    """
    said = error if isinstance(error, KafkaException) else error.__cause__
    if isinstance(said, KafkaException):
        cause: KafkaError = said.args[0]
        return cause
    return KafkaError(KafkaError._FATAL, str(error), fatal=True)  # noqa: SLF001  # librdkafka's name for it
