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
        self._takers: deque[asyncio.Future[None]] = deque()
        self._ended = False

    def put(self, message: Any) -> None:
        """Take an event over, once."""
        if message.offset <= self._taken.get(message.topic, -1):
            return
        self._taken[message.topic] = message.offset
        self._kept[message.topic][message.offset] = message
        self._waiting[message.topic].append(message)
        self._wake(1)

    def first_of_lane(self, item: Any) -> None:
        """Give it out before all events of its lane (`item.topic`), behind others that were put here."""
        self._front[item.topic].append(item)
        self._wake(1)

    def shut(self, topic: str) -> None:
        """Give out no event of this lane for now."""
        self._shut.add(topic)

    def open(self, topic: str) -> None:
        """Give out its events again."""
        if topic in self._shut:
            self._shut.discard(topic)
            self._wake(len(self._waiting[topic]))

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
        while not (self._ended or self.waits):
            await self._woken()
        return not self._ended

    async def take(self) -> Any | None:
        """The next event, in its lane's order; None where all is to end."""
        while not self._ended:
            item = self._next()
            if item is not None:
                return item
            await self._woken()
        return None

    def _next(self) -> Any | None:
        for topic, lane in self._waiting.items():
            if self._front[topic]:
                return self._front[topic].popleft()
            if lane and topic not in self._shut:
                return lane.popleft()
        return None

    async def _woken(self) -> None:
        """Wait until there may be something; who is woken looks, and waits again where somebody else was first."""
        taker = asyncio.get_running_loop().create_future()
        self._takers.append(taker)
        try:
            await taker
        except asyncio.CancelledError:
            if taker.done() and not taker.cancelled():
                self._wake(1)
            raise

    def _wake(self, number: int) -> None:
        while number and self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                number -= 1

    def again(self) -> None:
        """Let all that is not committed wait once more, as events."""
        for front in self._front.values():
            front.clear()
        self._shut.clear()
        for topic, kept in self._kept.items():
            self._waiting[topic] = deque(kept.values())
        self._wake(len(self._takers))

    def committed(self, messages: Sequence[Any]) -> None:
        """Forget events that are done and committed."""
        for message in messages:
            self._kept[message.topic].pop(message.offset, None)

    def end(self) -> None:
        """Give out nothing more."""
        self._ended = True
        self._wake(len(self._takers))
