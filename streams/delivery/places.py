"""How many connections one slot may hold, to each host, to each provider and in all, and who gets the next one.

Whoever waits is served in order of arrival among those that can be served: a host at its own limit does not hold up
mail for another.  When the slot, or a provider's part of it, is full of idle connections to other hosts, one of them is
ended to make room.  Hosts belong to the provider that they were asked for last (`belongs`); to none, if never.
"""

import asyncio
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

Held = TypeVar("Held")


class Places(Generic[Held]):
    """Places for connections of type `Held`.  `end` is called with an idle one that must go; it calls `free` later."""

    def __init__(self, *, per_host: int, in_all: int, end: Callable[[str, Held], None]) -> None:
        self._per_host = per_host
        self._in_all = in_all
        self._end = end
        self._taken: dict[str, int] = {}
        self._providers: dict[str, tuple[str, int]] = {}  # by host: its provider, and how many that one may have
        self.total = 0
        self._ending = 0
        # Per host, the longest idle first; the last used is used again, so that the others can age out.
        self._idle: OrderedDict[int, tuple[str, Held]] = OrderedDict()
        self._tickets = itertools.count()
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[Held | None]]]] = {}

    async def take(self, host: str) -> Held | None:
        """An idle connection to the host, or None: there's a place to open one, to be given back by `free`."""
        if not self._waiting.get(host):
            held = self._idle_to(host)
            if held is not None:
                return held
        future: asyncio.Future[Held | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(host, deque()).append((next(self._tickets), future))
        self._serve()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                unwanted = future.result()
                if unwanted is None:
                    self.free(host)
                else:
                    self.put(self.number(), host, unwanted)
            raise

    def belongs(self, host: str, provider: str, most: int | None) -> None:
        """From now on the host counts for this provider, which may have so many connections in all."""
        if most is None:
            self._providers.pop(host, None)
        else:
            self._providers[host] = provider, most

    def number(self) -> int:
        """A name for `put` and `remove`."""
        return next(self._tickets)

    def put(self, number: int, host: str, held: Held) -> None:
        """Leave an idle connection; whoever waits for one gets it at once."""
        self._idle[number] = (host, held)
        self._serve()

    def remove(self, number: int) -> bool:
        """Take an idle connection out to end it; False if it's in use again.  Its place is free after `free`."""
        if self._idle.pop(number, None) is None:
            return False
        self._ending += 1
        return True

    def ending(self) -> None:
        """A connection in use won't come back idle: it is being ended, and `ended` follows."""
        self._ending += 1

    def ended(self, host: str) -> None:
        """A connection that was being ended is closed now."""
        self._ending -= 1
        self.free(host)

    def free(self, host: str) -> None:
        """A place is free again."""
        self.total -= 1
        self._taken[host] -= 1
        if not self._taken[host]:
            del self._taken[host]
            if not self._waiting.get(host):
                self._providers.pop(host, None)
        self._serve()

    def drain(self) -> list[tuple[str, Held]]:
        """Take all idle connections out; each is given back by `ended`."""
        idle = list(self._idle.values())
        self._idle.clear()
        self._ending += len(idle)
        return idle

    def _serve(self) -> None:
        """Give what there is to those who wait, the longest waiting first."""
        while True:
            heads = sorted(self._heads())
            if not any(self._grant(host) for _, host in heads):
                break
        for _, host in heads:
            if self._taken.get(host, 0) < self._per_host and self._provider_is_full(host):
                self._end_one_of(self._providers[host][0])
        # Still waiting for room in the slot itself: end idle connections of other hosts, no more than are waited for.
        wanting = sum(len(self._waiting[host]) for _, host in heads if self._taken.get(host, 0) < self._per_host)
        while wanting > self._ending and self._idle and self.total >= self._in_all:
            _, (host, held) = self._idle.popitem(last=False)
            self._ending += 1
            self._end(host, held)

    def _heads(self) -> list[tuple[int, str]]:
        heads: list[tuple[int, str]] = []
        for host, queue in list(self._waiting.items()):
            while queue and queue[0][1].done():
                queue.popleft()
            if queue:
                heads.append((queue[0][0], host))
            else:
                del self._waiting[host]
        return heads

    def _grant(self, host: str) -> bool:
        held = self._idle_to(host)
        if held is None:
            if self.total >= self._in_all or self._taken.get(host, 0) >= self._per_host:
                return False
            if self._provider_is_full(host):
                return False
            self.total += 1
            self._taken[host] = self._taken.get(host, 0) + 1
        self._waiting[host].popleft()[1].set_result(held)
        return True

    def _provider_is_full(self, host: str) -> bool:
        if host not in self._providers:
            return False
        provider, most = self._providers[host]
        taken = sum(self._taken.get(other, 0) for other, (of, _) in self._providers.items() if of == provider)
        return taken >= most

    def _end_one_of(self, provider: str) -> None:
        """End the provider's longest idle connection, if it has one and none is being ended."""
        if self._ending:
            return
        for number, (host, held) in self._idle.items():
            if self._providers.get(host, ("", 0))[0] == provider:
                del self._idle[number]
                self._ending += 1
                self._end(host, held)
                return

    def _idle_to(self, host: str) -> Held | None:
        """The idle connection to the host that was used last, taken out."""
        number = next((number for number, (of, _) in reversed(self._idle.items()) if of == host), None)
        return None if number is None else self._idle.pop(number)[1]
