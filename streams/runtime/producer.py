"""An idempotent producer on librdkafka: the delivery report is the future (FAUST.md 8, 9, 20).

One a process, used from one event loop.

1. `send` hands a record to librdkafka at once; while its queue is full it waits: back-pressure, never loss.
2. A thread of ours serves librdkafka's reports and wakes the loop once for all that came together.
3. Each record's future then gives its offset, when every in-sync replica has it, or raises KafkaException.
4. After a *fatal* error (librdkafka's idempotence gave up) a client can do nothing more: what it still held fails,
   and the next record goes to a new client.  Who sends again may double a record: at least once, as said.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message

from streams.runtime import metrics
from streams.runtime.clients import librdkafka
from streams.runtime.producer_client import POLL_S, Client
from streams.runtime.settings import KafkaSettings
from streams.runtime.unfit import UNFIT, Headers, pairs, refusal
from streams.runtime.unproven import verdict

log = structlog.get_logger(__name__)

# Records gather this long before a request goes out: small beside an SMTP transaction, and it makes batches.
LINGER_MS = 5
# librdkafka gives a record up after this long; a broker that restarts is back well before (session timeout 12 s).
DELIVERY_TIMEOUT_MS = 120_000
# Records and kilobytes in librdkafka's queue before `send` waits: seconds of work at full speed, and a bound on memory.
QUEUE_RECORDS = 100_000
QUEUE_KB = 256 * 1024
# While librdkafka's queue is full, `send` yields for this long and tries again.
FULL_S = 0.01

# What became of a record: its error, or None, and the record with its coordinates.
Report = tuple["asyncio.Future[Any]", KafkaError | None, Message, Callable[[Message], Any]]


class RecordProducer:
    """Produces records from one event loop and resolves a future for each."""

    def __init__(self, kafka: KafkaSettings, *, client_id: str, **more: Any) -> None:
        """`more` are further settings of librdkafka (`a_b` means `a.b`), over the ones given here."""
        given: dict[str, Any] = {
            "enable_idempotence": True,
            "acks": "all",
            "linger_ms": LINGER_MS,
            "delivery_timeout_ms": DELIVERY_TIMEOUT_MS,
            "queue_buffering_max_messages": QUEUE_RECORDS,
            "queue_buffering_max_kbytes": QUEUE_KB,
            "partitioner": "murmur2_random",
            "compression_type": "lz4",
            "message_max_bytes": 8 * 1024 * 1024,
        }
        self._config = librdkafka(kafka, client_id=client_id, **(given | more))
        self._prefix = kafka.prefix
        self._client = Client(self._config)
        self._loop: asyncio.AbstractEventLoop | None = None
        # Appended to by librdkafka's callbacks, drained by the loop; `_woken` says that the loop will look.
        self._reports: deque[Report] = deque()
        self._woken = False
        self._unresolved = 0

    @property
    def pending(self) -> int:
        """How many records have no report yet."""
        return self._unresolved

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Mapping[str, bytes] | None = None,
    ) -> "asyncio.Future[int]":
        """Hand a record over; the future gives its offset, or raises KafkaException.

        Waits while librdkafka's queue is full: back-pressure, never loss.
        """
        while True:
            try:
                return self.offer(topic, value, key=key, partition=partition, headers=headers)
            except BufferError:
                await self.room()

    def offer(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp_ms: int = 0,
        read: Callable[[Message], Any] = Message.offset,
    ) -> "asyncio.Future[Any]":
        """Hand a record over without waiting; the future gives what `read` makes of the delivered record.

        Raises BufferError when the queue is full.  Whatever else is wrong with the record is its future's error.
        """
        loop = self._loop or self._bind()
        future: asyncio.Future[Any] = loop.create_future()
        reports = self._reports

        def report(error: KafkaError | None, message: Message) -> None:
            reports.append((future, error, message, read))
            if not self._woken:
                self._wake()

        if self._client.fatal is not None:
            self._renew(self._client.fatal)
        where = -1 if partition is None else partition  # librdkafka's "any": its partitioner decides
        try:
            if headers:
                self._client.producer.produce(
                    topic, value, key, where, report, timestamp=timestamp_ms, headers=pairs(headers)
                )
            else:
                self._client.producer.produce(topic, value, key, where, report, timestamp=timestamp_ms)
        except KafkaException as refused:
            error: KafkaError = refused.args[0]
            if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001  # the name of a public error code
                self._renew(error)
                return self.offer(
                    topic, value, key=key, partition=partition, headers=headers, timestamp_ms=timestamp_ms, read=read
                )
            _failed(topic, error.name(), 1)
            future.set_exception(refused)
            return future
        except UNFIT as unfit:
            told = refusal(topic, unfit)
            _failed(topic, told.name(), 1)
            future.set_exception(KafkaException(told))
            return future
        self._unresolved += 1
        return future

    def partitions(self, topic: str, timeout_s: float) -> int:
        """How many partitions a topic has; blocks for the broker's answer.  Raises KafkaException."""
        found = self._client.producer.list_topics(topic, timeout_s).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return len(found.partitions)

    async def room(self) -> None:
        """Wait a moment for the queue to drain."""
        metrics.PRODUCER_WAITS.inc()
        await asyncio.sleep(FULL_S)

    async def flush(self) -> None:
        """Wait until every record handed over so far has its report, however long that takes (FAUST.md 8)."""
        while self._unresolved:
            await asyncio.to_thread(self._client.flush, POLL_S)
            await asyncio.sleep(0)  # the reports' turn

    def close(self, timeout_s: float = 10.0) -> int:
        """Wait for what is on its way; returns how many records stayed behind."""
        left = self._client.close(timeout_s)
        self._resolve()
        return left

    def _bind(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        return self._loop

    def _renew(self, error: KafkaError) -> None:
        log.error("the producer failed for good and is made anew", error=str(error), pending=self._unresolved)
        self._client.fatal = error  # its thread fails what it holds, and ends
        self._client = Client(self._config)

    def _wake(self) -> None:
        """In the reports' thread: let the loop look at them, once for many."""
        self._woken = True
        if self._loop is not None and not self._loop.is_closed():  # else nobody waits any more
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        """In the loop: give each report to its future."""
        self._woken = False
        delivered: Counter[str] = Counter()
        failed: Counter[tuple[str, str]] = Counter()
        while self._reports:
            future, told, message, read = self._reports.popleft()
            self._unresolved -= 1
            error = verdict(told, message)
            if error is None:
                delivered[message.topic() or ""] += 1
                if not future.done():
                    future.set_result(read(message))
            else:
                failed[message.topic() or "", error.name()] += 1
                if not future.done():
                    future.set_exception(KafkaException(error))
        for topic, number in delivered.items():
            metrics.OUTPUTS.labels(topic.removeprefix(self._prefix)).inc(number)
        for (topic, name), number in failed.items():
            _failed(topic, name, number)
        metrics.PRODUCER_QUEUE.set(self._unresolved)


def _failed(topic: str, error: str, number: int) -> None:
    metrics.PRODUCE_FAILURES.inc(number)
    log.warning("records were not delivered", topic=topic, error=error, records=number)
