"""A fenced producer whose transaction stays open: records go into it from the event loop, one by one (KIP-98).

`transactions` writes a batch and commits it in one call, from a thread.  Here

1. `begin` opens a transaction: nothing that a broker hears of before the first record.
2. `send` hands a record to librdkafka at once, from the loop; its `Sent` is told, in the loop, what became of it.  In
   an open transaction that takes the broker about a millisecond, and a reader of uncommitted records has it then.
3. The loop itself serves librdkafka's reports, each SERVE_S while some are out.  A thread that waits for them instead
   takes the interpreter from the loop at each: two changes of thread a record, which cost more than the record.
4. `end` names the source offsets and commits; `give_back` aborts.  After either, `begin` opens the next.

`begin`, `end` and `give_back` block: make them from a thread, one at a time, while nothing is sent.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from streams.runtime.errors import FencedError, TransactionAbortedError
from streams.runtime.partition.fenced import RAISED, Fenced, cause_of
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.record import Record
from streams.runtime.settings import KafkaSettings
from streams.runtime.unproven import verdict

# How often the loop looks for reports while there are some to come (s): an intent waits half of it, an empty look takes
# 3 us.  And while there are none: what librdkafka says beside, that it found the broker again for example.
SERVE_S: Final = 0.003
IDLE_S: Final = 0.2
# How long a record waits for company: a slot's connections say one each few milliseconds, and a request each costs the
# broker, librdkafka and the loop that is woken by its report more than the records do.  An intent has until the dot.
LINGER_MS: Final = 5.0


class Sent(Protocol):
    """Who is told what became of a record."""

    def delivered(self, offset: int) -> None:
        """Every in-sync replica has it."""

    def failed(self, error: KafkaError) -> None:
        """The open transaction can only be given back."""


class StreamingProducer(Fenced):
    """The one producer that may write for a partition, as its records come."""

    def __init__(self, kafka: KafkaSettings, transactional_id: str) -> None:
        super().__init__(kafka, transactional_id, linger_ms=LINGER_MS)
        self.prefix = kafka.prefix
        # Appended to by whichever thread serves reports (an abort does, too), taken from by the loop.
        self._reports: deque[tuple[Sent, KafkaError | None, int]] = deque()
        self._unreported = 0
        self._settled = asyncio.Event()
        self._failed = False
        self._fatal = False
        self._serving = threading.Lock()  # whoever closes: the loop never holds the last reference, which takes long
        self._closed = False
        self._look: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Open a transaction.  Raises FencedError where that can't be."""
        try:
            self._producer.begin_transaction()
        except RAISED as error:
            raise FencedError(self.transactional_id, str(cause_of(error))) from error

    def send(self, record: Record, sent: Sent) -> None:
        """Put a record into the open transaction.  Raises KafkaException where librdkafka does not take it."""
        reports = self._reports

        def report(error: KafkaError | None, message: Message) -> None:
            reports.append((sent, verdict(error, message), message.offset() or 0))

        try:
            self.hand_over(record, report)
        except BufferError as error:
            raise KafkaException(KafkaError(KafkaError._QUEUE_FULL)) from error  # noqa: SLF001  # librdkafka's name for it
        except SystemError as error:
            raise KafkaException(cause_of(error)) from error
        if not self._unreported:
            self._look_in(SERVE_S)
        self._unreported += 1

    async def settled(self, limit_s: float) -> bool:
        """Wait until all that was sent is on the broker; False where one failed, or not all is there by then."""
        try:
            async with asyncio.timeout(limit_s):
                self._resolve()
                while self._unreported and not self._failed:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return False
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
        with self._serving:
            self._closed = True
        super().close()

    def _look_in(self, seconds: float) -> None:
        if self._look is not None:
            self._look.cancel()
        self._look = asyncio.get_running_loop().call_later(seconds, self._serve)

    def _serve(self) -> None:
        """In the loop: have librdkafka tell what it has to, and pass it on."""
        with self._serving:
            if self._closed:
                return
            self._poll()
        self._resolve()
        self._look_in(SERVE_S if self._unreported else IDLE_S)

    def _poll(self) -> None:
        if self._fatal and self._unreported:  # nothing of it will be delivered: say so at once
            self._producer.purge()
        try:
            self._producer.poll(0)
        except RAISED as error:
            self._fatal = self._fatal or cause_of(error).fatal()

    def _resolve(self) -> None:
        """In the loop: tell each what became of it."""
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
