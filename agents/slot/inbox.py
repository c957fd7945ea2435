"""The events of a slot that are not committed: those that wait, and those in hand.

After a fence all of them wait again, in their order: what the group fetched is not fetched once more for it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any


class Inbox:
    """The lanes of one slot, the first one first.  `topics` by full name.

    Beside events, a lane takes what its reader puts at its front: an event that it had taken, and that now may go on.
    While a lane is shut, it gives out only those.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self.topics = tuple(topics)
        self._waiting: dict[str, deque[Any]] = {topic: deque() for topic in topics}
        self._front: dict[str, deque[Any]] = {topic: deque() for topic in topics}
        self._kept: dict[str, dict[int, Any]] = {topic: {} for topic in topics}
        self._taken: dict[str, int] = {}
        self._shut: set[str] = set()
        # One permit for each that waits; those of events behind a shut lane are kept aside.
        self._more = asyncio.Semaphore(0)
        self._aside = 0
        self._ended = False

    def put(self, message: Any) -> None:
        """Take an event over, once."""
        if message.offset <= self._taken.get(message.topic, -1):
            return
        self._taken[message.topic] = message.offset
        self._kept[message.topic][message.offset] = message
        self._waiting[message.topic].append(message)
        self._more.release()

    def first_of_lane(self, item: Any) -> None:
        """Give it out before all events of its lane (`item.topic`), behind others that were put here."""
        self._front[item.topic].append(item)
        self._more.release()

    def shut(self, topic: str) -> None:
        """Give out no event of this lane for now."""
        self._shut.add(topic)

    def open(self, topic: str) -> None:
        """Give out its events again."""
        if topic in self._shut:
            self._shut.discard(topic)
            for _ in range(self._aside):
                self._more.release()
            self._aside = 0

    def backlog(self, topic: str) -> int:
        """How many events of this topic wait."""
        return len(self._waiting[topic])

    @property
    def waits(self) -> bool:
        """Whether any waits."""
        return any(self._waiting.values()) or any(self._front.values())

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
            for topic, lane in self._waiting.items():
                if self._front[topic] and not self._ended:
                    return self._front[topic].popleft()
                if lane and topic not in self._shut and not self._ended:
                    return lane.popleft()
            if self._shut:
                self._aside += 1
        return None

    def again(self) -> None:
        """Let all that is not committed wait once more, as events."""
        for front in self._front.values():
            front.clear()
        self._shut.clear()
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
