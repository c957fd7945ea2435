"""What a partition's owner has been given and has not decided: a queue a topic, served in the order of the topics.

An event is taken once: Faust seeks back to the committed offset when a rebalance interrupts a fetch.  Below a topic's
floor all is decided and committed, by this owner or one before it: what comes from there is passed over and counted.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from streams.runtime import metrics


class Inbox:
    """The events of one partition number."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` maps full topic names to declared ones, in the order of service."""
        self._queues: dict[str, deque[Any]] = {topic: deque() for topic in names}
        self._repeated = {topic: metrics.REPEATED.labels(name) for topic, name in names.items()}
        self._taken: dict[str, int] = {}
        self._floor: dict[str, int] = {}
        self._full_at = 1
        self._came, self._full = asyncio.Event(), asyncio.Event()
        self._ended = False
        self.waiting = 0

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics, by full name."""
        return tuple(self._queues)

    def put(self, message: Any) -> None:
        """Take an event over, once."""
        if message.offset <= self._taken.get(message.topic, -1):
            return
        self._taken[message.topic] = message.offset
        self._queues[message.topic].append(message)
        self.waiting += 1
        self._came.set()
        if self.waiting >= self._full_at:
            self._full.set()

    def backlog(self, topic: str) -> int:
        """How many events of this topic wait."""
        return len(self._queues[topic])

    def take(self, most: int) -> list[Any]:
        """The next events, at most so many."""
        batch: list[Any] = []
        for topic, queue in self._queues.items():
            floor = self._floor.get(topic, 0)
            before = len(queue)
            repeated = 0
            while queue and len(batch) < most:
                message = queue.popleft()
                if message.offset >= floor:
                    batch.append(message)
                else:
                    repeated += 1
            self.waiting -= before - len(queue)
            if repeated:
                self._repeated[topic].inc(repeated)
        return batch

    def put_back(self, batch: Sequence[Any]) -> None:
        """Events that were taken and not committed come first again, in their order."""
        for message in reversed(batch):
            self._queues[message.topic].appendleft(message)
        self.waiting += len(batch)

    # ── offsets ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin_at(self, floor: Mapping[str, int]) -> None:
        """What is known behind our fence; what this owner saw committed stays so, whatever is told now."""
        self._floor = {topic: max(offset, self._floor.get(topic, 0)) for topic, offset in floor.items()}

    def committed(self, offsets: Mapping[str, int]) -> None:
        """A batch up to these offsets is committed."""
        self._floor.update(offsets)

    def positions(self) -> dict[str, int]:
        """Each topic's offset up to which all is decided and committed; empty until the partition is taken over."""
        return dict(self._floor)

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def end(self) -> None:
        """Nobody waits for events any more."""
        self._ended = True
        self._came.set()
        self._full.set()

    async def fill(self, limit_s: float, *, full: int) -> None:
        """Wait until a full batch is there, of so many events, at most so long."""
        self._full_at = full
        if limit_s <= 0 or self._ended or self.waiting >= full:
            return
        self._full.clear()
        await _within(self._full, limit_s)

    async def more(self, limit_s: float) -> None:
        """Wait until anything is there, at most so long."""
        self._came.clear()
        if not self.waiting and not self._ended:
            await _within(self._came, limit_s)


async def _within(event: asyncio.Event, limit_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), limit_s)
    except TimeoutError:
        return
