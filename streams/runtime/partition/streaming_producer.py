"""A fenced producer whose transaction stays open: records go into it from the event loop, one by one (KIP-98).

`transactions` writes a batch and commits it in one call, from a thread.  Here

1. `begin` opens a transaction: nothing that a broker hears of before the first record.
2. `send` hands a record to librdkafka at once, from the loop; its `Sent` is told, in the loop, what became of it.  In
   an open transaction that takes the broker about a millisecond, and a reader of uncommitted records has it then.
3. A thread of ours serves librdkafka's reports.  It wakes the loop once for many, and only where somebody waits: for a
   record that is `prompt`, for one that failed, or for all of them (`settled`).
4. `end` names the source offsets and commits; `give_back` aborts.  After either, `begin` opens the next.

`begin`, `end` and `give_back` block: make them from a thread, one at a time, while nothing is sent.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.runtime.errors import FencedError, TransactionAbortedError
from streams.runtime.partition.fenced import RAISED, Fenced, cause_of
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.record import Record
from streams.runtime.settings import KafkaSettings
from streams.runtime.unproven import verdict

# How long the thread sleeps in librdkafka for reports; bounds how late a close is noticed.
POLL_S: Final = 0.2


class Sent(Protocol):
    """Who is told what became of a record."""

    prompt: bool  # somebody waits for it: the loop is woken at once

    def delivered(self, offset: int) -> None:
        """Every in-sync replica has it."""

    def failed(self, error: KafkaError) -> None:
        """The open transaction can only be given back."""


class StreamingProducer(Fenced):
    """The one producer that may write for a partition, as its records come."""

    def __init__(self, kafka: KafkaSettings, transactional_id: str) -> None:
        super().__init__(kafka, transactional_id)
        self.prefix = kafka.prefix
        self._loop: asyncio.AbstractEventLoop | None = None
        # Appended to by the thread that serves reports, taken from by the loop.
        self._reports: deque[tuple[Sent, KafkaError | None, int]] = deque()
        self._woken = False  # the loop will look at the reports
        self._unreported = 0
        self._settling = False
        self._settled = asyncio.Event()
        self._failed = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Open a transaction.  Raises FencedError where that can't be."""
        if self._thread is None:
            name = f"{self.transactional_id}-reports"
            self._thread = threading.Thread(target=self._serve, args=(self._producer,), name=name, daemon=True)
            self._thread.start()
        try:
            self._producer.begin_transaction()
        except RAISED as error:
            raise FencedError(self.transactional_id, str(cause_of(error))) from error

    def send(self, record: Record, sent: Sent) -> None:
        """Put a record into the open transaction.  Raises KafkaException where librdkafka does not take it."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        reports = self._reports

        def report(error: KafkaError | None, message: Message) -> None:
            failed = verdict(error, message)
            reports.append((sent, failed, message.offset() or 0))
            if (sent.prompt or self._settling or failed is not None) and not self._woken:
                self._wake()

        try:
            self.hand_over(record, report)
        except BufferError as error:
            raise KafkaException(KafkaError(KafkaError._QUEUE_FULL)) from error  # noqa: SLF001  # librdkafka's name for it
        except SystemError as error:
            raise KafkaException(cause_of(error)) from error
        self._unreported += 1

    async def settled(self, limit_s: float) -> bool:
        """Wait until all that was sent is on the broker; False where one failed, or not all is there by then."""
        self._settling = True
        try:
            async with asyncio.timeout(limit_s):
                self._resolve()
                while self._unreported and not self._failed:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return False
        finally:
            self._settling = False
        return not self._failed

    def end(self, positions: Sequence[TopicPartition], group: GroupOffsets) -> None:
        """Commit what is on the broker, with these source offsets.

        Raises TransactionAbortedError where nothing happened, FencedError where it may have, or where this producer is
        not the owner any more.
        """
        try:
            self.name_offsets([*positions], group)
        except RAISED as error:
            cause = cause_of(error)
            if cause.fatal():
                raise FencedError(self.transactional_id, str(cause)) from error
            self.give_back(cause)
            raise TransactionAbortedError(self.transactional_id, str(cause)) from error
        self.finish()

    def forget(self) -> None:
        """In the loop, behind an abort: what is still reported of that transaction is nobody's any more."""
        self._resolve()
        self._reports = deque()
        self._unreported = 0
        self._failed = False

    def close(self) -> None:
        """As any fenced producer's."""
        self._closing.set()
        super().close()

    def _serve(self, producer: Producer) -> None:
        fatal = False
        while not fatal and not self._closing.is_set():
            fatal = not _polled(producer)
        while fatal and len(producer) and not self._closing.is_set():  # nothing of it will be delivered: say so at once
            producer.purge()
            _polled(producer)

    def _wake(self) -> None:
        """In the thread: let the loop look, once for many."""
        self._woken = True
        if self._loop is not None and not self._loop.is_closed():  # else nobody waits any more
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        """In the loop: tell each what became of it."""
        self._woken = False
        while self._reports:
            sent, error, offset = self._reports.popleft()
            self._unreported -= 1
            if error is None:
                sent.delivered(offset)
            else:
                self._failed = True
                sent.failed(error)
        if self._failed or not self._unreported:
            self._settled.set()


def _polled(producer: Producer) -> bool:
    """Serve reports for a while; False once nothing more can be delivered."""
    try:
        producer.poll(POLL_S)
    except RAISED as error:
        return not cause_of(error).fatal()
    return True
