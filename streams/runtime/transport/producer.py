"""Faust's producer on top of ours: `await topic.send`, `send_soon` and tables' changelogs (FAUST.md 8, 9, 20).

Agents above stay plain Faust agents; what they send is idempotent, on all replicas when its future resolves, and an
error reaches who awaits it.  librdkafka is started with the first record: most roles send by transactions alone.

1. `send` hands a record to `RecordProducer` and gives its future.
2. `send_soon`, which can't wait, does the same; where the queue is full it keeps the record, in order, and
   `wait_until_ebb`, which Faust awaits before each event, holds consumption until all is handed over.
3. `flush` ends when every record has its report.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from aiokafka.partitioner import murmur2
from confluent_kafka import Message
from faust.transport.producer import Producer
from faust.types import TP, FutureMessage, RecordMetadata

from streams.runtime.producer import RecordProducer

# Asking for a topic's number of partitions blocks the loop, once a topic: as long as a broker's restart at most.
METADATA_LIMIT_S = 10.0


class Outbox:
    """What `send_soon` could not hand over yet, in order; the place of Faust's producer buffer."""

    def __init__(self, hand_over: Callable[[FutureMessage], None], room: Callable[[], Any]) -> None:
        self._hand_over = hand_over
        self._room = room
        self._kept: deque[FutureMessage] = deque()
        self._draining: asyncio.Task[None] | None = None

    @property
    def size(self) -> int:
        """How many records are kept."""
        return len(self._kept)

    def put(self, fut: FutureMessage) -> None:
        """Hand over at once, or keep until there is room."""
        if not self._kept:
            try:
                self._hand_over(fut)
            except BufferError:
                pass
            else:
                return
        self._kept.append(fut)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain(), name="outbox")

    async def _drain(self) -> None:
        while self._kept:
            try:
                self._hand_over(self._kept[0])
            except BufferError:
                await self._room()
            else:
                self._kept.popleft()

    async def wait_until_ebb(self) -> None:
        """Return when nothing is kept."""
        while self._kept and self._draining is not None:
            await asyncio.shield(self._draining)

    flush = wait_until_ebb


class EvenpostProducer(Producer):
    """Faust's producer as librdkafka makes it."""

    app: Any  # an EvenpostApp, which imports this module
    buffer: Any  # an Outbox: of Faust's buffer only what its own code asks for

    def __init__(self, transport: Any, loop: Any = None, **kwargs: Any) -> None:
        super().__init__(transport, loop=loop, **kwargs)
        self._records: RecordProducer | None = None
        self._widths: dict[str, int] = {}
        self.buffer = Outbox(self._hand_over, self._room)

    @property
    def records(self) -> RecordProducer:
        """The one implementation; started at first use."""
        if self._records is None:
            app = self.app
            self._records = RecordProducer(app.settings.kafka, client_id=f"evenpost-{app.member}-agents")
        return self._records

    async def on_start(self) -> None:
        """Nothing: Faust's buffer and its task are not started."""

    async def on_stop(self) -> None:
        """Wait for what is on its way."""
        if self._records is not None:
            await self.flush()
            await asyncio.to_thread(self._records.close)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        """Hand a record over; waits while the queue is full, and behind what `send_soon` has kept."""
        del transactional_id  # transactions are ours: streams.runtime.partition.transactions
        await self.buffer.wait_until_ebb()
        while True:
            try:
                return self._offer(topic, key, value, partition, timestamp, headers)
            except BufferError:
                await self._room()

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> RecordMetadata:
        """Send and wait for the report."""
        return await (await self.send(*args, **kwargs))

    async def flush(self) -> None:
        """Wait until every record has its report."""
        await self.buffer.flush()
        if self._records is not None:
            await self._records.flush()

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Where librdkafka's `murmur2_random` puts this key."""
        if topic not in self._widths:
            found = self.records.partitions(topic, METADATA_LIMIT_S)
            self._widths[topic] = found
        return TP(topic, (murmur2(key) & 0x7FFFFFFF) % self._widths[topic])

    def supports_headers(self) -> bool:
        """Kafka has had them since 0.11."""
        return True

    def _offer(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int | None, timestamp: Any, headers: Any
    ) -> "asyncio.Future[RecordMetadata]":
        return self.records.offer(
            topic,
            value,
            key=key,
            partition=partition,
            headers=headers,
            timestamp_ms=int(timestamp * 1000) if timestamp else 0,
            read=_metadata,
        )

    def _hand_over(self, fut: FutureMessage) -> None:
        message = fut.message
        channel: Any = message.channel
        topic = channel.get_topic_name()
        sent = self._offer(topic, message.key, message.value, message.partition, message.timestamp, message.headers)
        state = self.app.sensors.on_send_initiated(self, topic, message=message, keysize=0, valsize=0)
        sent.add_done_callback(partial(channel._on_published, message=fut, producer=self, state=state))  # noqa: SLF001  # as Faust's own drivers do

    async def _room(self) -> None:
        await self.records.room()


def _metadata(message: Message) -> RecordMetadata:
    topic, partition = message.topic() or "", message.partition() or 0
    kind, at_ms = message.timestamp()
    return RecordMetadata(topic, partition, TP(topic, partition), message.offset() or 0, at_ms / 1000, kind)
