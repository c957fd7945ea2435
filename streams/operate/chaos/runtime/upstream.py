"""Keeps events coming during the whole run, at a rate that the run sets: each round must meet traffic.

Acks of all, idempotent.  An event whose delivery failed (the broker was away for too long) is sent again: should it be
there twice then, those are two events, by their coordinates, and each must have its effect.
"""

import asyncio
import threading
import time
from collections import deque
from typing import Final

from streams.operate.chaos.runtime import events
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings

STEP_S: Final = 0.05
# One in so many is transactional, as the smaller lane is.
TRANSACTIONAL_EVERY: Final = 5
# Once the rounds are over the rest goes at this rate: near what two cores take beside all else.
REST_PER_S: Final = 2_000.0


class Upstream:
    """A thread that produces."""

    def __init__(self, settings: Settings, *, events: int) -> None:
        self._settings = settings
        self._events = events
        self._failed: deque[tuple[str, int]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="upstream", daemon=True)
        self.per_s = 0.0
        self.sent = 0
        self.records = 0
        self.arrived = 0
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin, at the rate that `per_s` says from then on."""
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether each event is on the broker."""
        return self.sent >= self._events and self.arrived >= self.records

    def stop(self) -> None:
        """End, with what is on its way."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    async def _run(self) -> None:
        producer = RecordProducer(self._settings.kafka, client_id="evenpost-chaos-upstream", log_level=0)
        try:
            await self._produce(producer)
        except BaseException as error:
            self.error = error
            raise
        finally:
            producer.close()

    async def _produce(self, producer: RecordProducer) -> None:
        allowed, last = 0.0, time.monotonic()
        while not (self._stop.is_set() or self.done):
            now = time.monotonic()
            allowed += (now - last) * self.per_s
            last = now
            while self._failed:
                await self._send(producer, *self._failed.popleft())
            while allowed >= 1 and self.sent < self._events:
                allowed -= 1
                await self._next(producer)
            allowed = min(allowed, self.per_s * STEP_S)
            await asyncio.sleep(STEP_S)

    async def _next(self, producer: RecordProducer) -> None:
        self.sent += 1
        topics = [events.SOURCES[self.sent % TRANSACTIONAL_EVERY > 0]]
        if self.sent % events.PLAIN_EVERY == 0:
            topics.append(events.PLAIN_SOURCE)
        self.records += len(topics)
        for topic in topics:
            await self._send(producer, topic, self.sent)

    async def _send(self, producer: RecordProducer, topic: str, number: int) -> None:
        future = await producer.send(
            self._settings.topic(topic), b"%d" % number, key=events.person(number).encode(), partition=None
        )
        future.add_done_callback(lambda done: self._report(topic, number, done))

    def _report(self, topic: str, number: int, done: "asyncio.Future[int]") -> None:
        if done.exception() is None:
            self.arrived += 1
        else:
            self._failed.append((topic, number))
