"""A fenced transactional producer, whatever way its records come (DESIGN.md, choice 4; KIP-98, KIP-447).

`fence` ends whatever a former owner left open and keeps it from ever committing again.  `transactions` writes batches
by it, `streaming_producer` record by record.  What they share is how a transaction ends:

- `finish` commits.  From here on a failure leaves open whether it happened.  It is asked for again for as long as
  librdkafka says that asking helps; else FencedError: whoever fences next, the same process included, lets the broker
  finish a commit that it had begun, or end what it had not, and reads in the group's stable offsets which it was.
- `give_back` aborts, and a confirmed abort means that nothing happened.

All calls but `hand_over` block: make them from a thread.
"""

import threading
from collections.abc import Callable
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.runtime.clients import librdkafka
from streams.runtime.errors import FencedError
from streams.runtime.partition.group_offsets import GroupOffsets, raise_where_forbidden
from streams.runtime.partition.record import Record
from streams.runtime.settings import KafkaSettings
from streams.runtime.unfit import UNFIT, pairs, refusal

# One ask of the broker to be fenced: it answers in 0.3-1 s, and who is told to stop must not wait much longer.
FENCE_ASK_S: Final = 5.0
# An owner that dies delays readers until the broker ends its transaction (DESIGN.md, choice 4).
TRANSACTION_TIMEOUT_MS: Final = 5_000
# A begin meets the commit before it, still being marked: librdkafka then waits this long.  5 ms: 11 ms a commit;
# its default of 100 ms: 100 ms a commit (DESIGN.md, choice 4).
RETRY_BACKOFF_MS: Final = 5
# A batch's records come all at once, and a flush does not wait for it.
LINGER_MS: Final = 1.0
# No call waits without a bound, though librdkafka advises so (-1): after a broker was away its coordinator's connection
# can stay down for good (chaos showed it: one request queued, timed out and queued again each 5 s).  A new producer is
# what helps, and behind a new fence nothing depends on what the old one thought.
CALL_S: Final = 5.0
# Beyond a call's own bound, until it is given up.
LATE_S: Final = 1.0
# A commit is asked for so often: 20 s outlive a broker's restart; after that a new fence tells faster.
COMMIT_ASKS: Final = 4
# Until the coordinator knows of the records before one that was not handed over: a broker takes milliseconds.
KNOWN_S: Final = 1.0
# How often an abort looks for what came back to be tried again.
PURGE_S: Final = 0.02
# A record that is refused with one of these will be refused again, whoever leads the partition.
REFUSALS: Final = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_RECORD,
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001  # librdkafka's name for it
    KafkaError._INVALID_ARG,  # noqa: SLF001  # as above
}

# How a call of confluent-kafka fails; see `cause_of`.
RAISED: Final = (KafkaException, SystemError)


class Fencing(Protocol):
    """What becoming an owner needs of a producer."""

    def fence(self) -> bool:
        """Shut the former owner out; False where the broker has not answered yet: call again."""

    def close(self) -> None:
        """Give it up, whatever it has open."""


class Fenced:
    """The one producer that may write for a partition."""

    def __init__(self, kafka: KafkaSettings, transactional_id: str, *, linger_ms: float = LINGER_MS) -> None:
        self.transactional_id = transactional_id
        self._producer = Producer(
            librdkafka(
                kafka,
                client_id=transactional_id,
                transactional_id=transactional_id,
                transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
                delivery_timeout_ms=TRANSACTION_TIMEOUT_MS,
                retry_backoff_ms=RETRY_BACKOFF_MS,
                linger_ms=linger_ms,
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
        except RAISED as error:
            cause = cause_of(error)
            if cause.retriable():
                return False
            raise_where_forbidden(self.transactional_id, cause)
            raise FencedError(self.transactional_id, str(cause)) from error
        return True

    def hand_over(self, record: Record, report: Callable[[KafkaError | None, Message], None]) -> None:
        """Put a record into the open transaction, without waiting.

        Raises BufferError while librdkafka's queue is full, KafkaException where the record can't be taken.  By
        position, and headers only where there are some: half the time of names, for every record that we make.
        """
        topic, value, key = record.topic, record.value, record.key
        where = -1 if record.partition is None else record.partition  # librdkafka's "any": its partitioner decides
        try:
            if record.headers:
                self._producer.produce(topic, value, key, where, report, headers=pairs(record.headers))
            else:
                self._producer.produce(topic, value, key, where, report)
        except UNFIT as error:
            raise KafkaException(refusal(topic, error)) from error

    def name_offsets(self, positions: list[TopicPartition], group: GroupOffsets) -> None:
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

    def finish(self) -> None:
        """Commit what is delivered: the point of no return.  Raises FencedError where it may not have happened."""
        cause: KafkaError | None = None
        for _ in range(COMMIT_ASKS):
            try:
                self._producer.commit_transaction(CALL_S)
            except RAISED as error:
                cause = cause_of(error)
                if not cause.retriable():
                    break
            else:
                return
        raise FencedError(self.transactional_id, f"nobody can say whether the transaction was committed: {cause}")

    def give_back(self, cause: KafkaError) -> None:
        """Abort: nothing of the transaction counts.  Raises FencedError where nobody can say so.

        librdkafka purges what waits, and then waits for what is on its way.  What comes back from there to be tried
        again (a batch behind a refused one always does) it would keep until the delivery's time is over, which is the
        transaction's as well: the broker would fence us.  So it is purged again and again.

        A record that was not even handed over fails within microseconds: records before it may not be known to the
        coordinator yet, and then it is asked to abort a transaction that to it is the one before, committed already,
        which it takes for a fatal mistake.  So those get there first.
        """
        if cause.code() == KafkaError._INVALID_ARG:  # noqa: SLF001  # as above
            self._producer.flush(KNOWN_S)
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
            except RAISED as error:
                last = cause_of(error)
                if not last.retriable():
                    break
            else:
                return
        raise FencedError(self.transactional_id, f"{cause}, then {last}")

    def close(self) -> None:
        """Give the producer up with its 4-5 threads; what it has open, the next fence or the broker's timer ends."""
        self._producer.purge()
        del self._producer  # librdkafka ends with the last reference


def cause_of(error: KafkaException | SystemError) -> KafkaError:
    """What librdkafka said.

    confluent-kafka raises a fatal error within the call that serves reports; where a report is served after that,
    CPython finds an exception that is set already, and says so by a SystemError.
    """
    said = error if isinstance(error, KafkaException) else error.__cause__
    if isinstance(said, KafkaException):
        cause: KafkaError = said.args[0]
        return cause
    return KafkaError(KafkaError._FATAL, str(error), fatal=True)  # noqa: SLF001  # librdkafka's name for it
