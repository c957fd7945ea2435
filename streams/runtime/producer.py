"""An idempotent producer on librdkafka: the delivery report is the future (FAUST.md 8, 9, 20).

One a process.  `send` hands the record over at once; its future resolves when every in-sync replica has it.
"""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.runtime.clients import librdkafka
from streams.runtime.settings import KafkaSettings

# Records gather this long before a request goes out: small beside an SMTP transaction, and it makes batches.
LINGER_MS = 5
# librdkafka gives a record up after this long; a broker that restarts is back well before (session timeout 12 s).
DELIVERY_TIMEOUT_MS = 120_000
# How long the poll thread sleeps in librdkafka for delivery reports; bounds how late `close` is noticed.
POLL_S = 0.2
# While librdkafka's queue is full, `send` yields for this long and tries again.
FULL_S = 0.01


class RecordProducer:
    """Produces records from one event loop and resolves a future for each."""

    def __init__(self, kafka: KafkaSettings, *, client_id: str) -> None:
        self._producer = Producer(
            librdkafka(
                kafka,
                client_id=client_id,
                enable_idempotence=True,
                acks="all",
                linger_ms=LINGER_MS,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                partitioner="murmur2_random",
                compression_type="lz4",
                message_max_bytes=8 * 1024 * 1024,
            )
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=f"{client_id}-reports", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_S)

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
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()

        def report(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(_resolve, future, error, message.offset())

        extra: dict[str, Any] = {} if partition is None else {"partition": partition}
        while True:
            try:
                self._producer.produce(
                    topic, value, key=key, headers=list((headers or {}).items()), on_delivery=report, **extra
                )
            except BufferError:
                await asyncio.sleep(FULL_S)
            else:
                return future

    def close(self, timeout_s: float = 10.0) -> int:
        """Wait for what is on its way; returns how many records stayed behind."""
        left = int(self._producer.flush(timeout_s))
        self._closing.set()
        self._thread.join(POLL_S * 5)
        return left


def _resolve(future: "asyncio.Future[int]", error: KafkaError | None, offset: int | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(KafkaException(error))
    else:
        future.set_result(offset if offset is not None else -1)
