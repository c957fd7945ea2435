"""The events of a slot that are not committed: those that wait, and those in hand.

After a fence all of them wait again, in their order: what the group fetched is not fetched once more for it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any


class Inbox:
    """The lanes of one slot, the first one first.  `topics` by full name."""

    def __init__(self, topics: Sequence[str]) -> None:
        self._waiting: dict[str, deque[Any]] = {topic: deque() for topic in topics}
        self._kept: dict[str, dict[int, Any]] = {topic: {} for topic in topics}
        self._taken: dict[str, int] = {}
        self._more = asyncio.Semaphore(0)
        self._ended = False

    def put(self, message: Any) -> None:
        """Take an event over, once."""
        if message.offset <= self._taken.get(message.topic, -1):
            return
        self._taken[message.topic] = message.offset
        self._kept[message.topic][message.offset] = message
        self._waiting[message.topic].append(message)
        self._more.release()

    def backlog(self, topic: str) -> int:
        """How many events of this topic wait."""
        return len(self._waiting[topic])

    @property
    def waits(self) -> bool:
        """Whether any waits."""
        return any(self._waiting.values())

    @property
    def ended(self) -> bool:
        """Whether nothing more is given out."""
        return self._ended

    async def first(self) -> bool:
        """Wait until there is something to do; False where all is to end."""
        await self._more.acquire()
        self._more.release()
        return not self._ended

    async def take(self) -> Any | None:
        """The next event, in its lane's order; None where all is to end."""
        while not self._ended:
            await self._more.acquire()
            for lane in self._waiting.values():
                if lane and not self._ended:
                    return lane.popleft()
        return None

    def again(self) -> None:
        """Let all that is not committed wait once more."""
        for topic, kept in self._kept.items():
            self._waiting[topic] = deque(kept.values())
        self._more.release()
        for _ in range(sum(map(len, self._waiting.values()))):
            self._more.release()

    def committed(self, messages: Sequence[Any]) -> None:
        """Forget events that are done and committed."""
        for message in messages:
            self._kept[message.topic].pop(message.offset, None)

    def end(self, takers: int) -> None:
        """Give out nothing more; `takers` may wait."""
        self._ended = True
        for _ in range(takers + 1):
            self._more.release()
