"""What may not go now and will within seconds: it waits here, beside its lane.  Pure.

By provider, transactional before marketing, each in its order.  A provider has a time at which it is looked at again;
whoever is looked at gives out what may go, and what has waited too long.  While it is full, its lane waits.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, TypeVar

__all__ = ["HOLD_S", "Hold"]

Item = TypeVar("Item")
# Seconds that one waits here at most, if nothing else is said (DESIGN.md, choice 14: a slot has 10 s of its capacity
# queued).
HOLD_S: Final = 10.0
# Each is an open offset in the slot's checkpoint, of 8 bytes, once a second.
MOST: Final = 1000
# Of a provider that lacks connections, not a rate, nobody knows how soon they go: within ten seconds at 20 a second.
# Of more its lane waits, as it would without a hold; a provider slower than that has some of them sent back.
MOST_UNRATED: Final = 200
# The part of it that marketing mail may take: whoever waits for a password does not wait for a newsletter's sake.
MARKETING: Final = 0.8


@dataclass(slots=True)
class _Lanes(Generic[Item]):
    """What waits for one provider, each with the time since when; and when it is looked at again."""

    transactional: deque[tuple[float, Item]] = field(default_factory=deque)
    marketing: deque[tuple[float, Item]] = field(default_factory=deque)
    at: float = float("inf")
    most: int = MOST

    def __len__(self) -> int:
        return len(self.transactional) + len(self.marketing)

    def oldest(self) -> float:
        return min((lane[0][0] for lane in (self.transactional, self.marketing) if lane), default=float("inf"))


class Hold(Generic[Item]):
    """One slot's; `longest_s` is how long one waits here at most."""

    def __init__(self, longest_s: float = HOLD_S) -> None:
        self._longest_s = longest_s
        self._lanes: dict[str, _Lanes[Item]] = {}
        self._next: list[tuple[float, int, str]] = []
        self._tickets = itertools.count()
        self._held = 0
        self._crowded: dict[str, float] = {}  # providers that have taken that part of their room, and it is large

    def __len__(self) -> int:
        return self._held

    def ahead(self, provider: str, kind: str) -> int:
        """How many go before another of this kind."""
        lanes = self._lanes.get(provider)
        if lanes is None:
            return 0
        return len(lanes.transactional) if kind == "transactional" else len(lanes)

    def has_room(self, kind: str) -> bool:
        """Whether there is room for another of this kind, whatever its provider."""
        part = 1.0 if kind == "transactional" else MARKETING
        return self._held < part * MOST and all(taken < part for taken in self._crowded.values())

    def put(self, item: Item, provider: str, kind: str, *, now: float, wait_s: float, most: int = MOST_UNRATED) -> None:
        """It waits from now on; `wait_s` is how long its provider's next one does (infinite: until `look`).

        `most` is how many of the provider's have room here; there is one more for each who did not ask for it.
        """
        lanes = self._lanes.setdefault(provider, _Lanes())
        lanes.most = most
        (lanes.transactional if kind == "transactional" else lanes.marketing).append((now, item))
        self._held += 1
        self._crowd(provider, lanes)
        self._look_at(provider, lanes, min(now + wait_s, now + self._longest_s))

    def look(self, provider: str, now: float) -> bool:
        """Something has changed for this provider; whether anything of it waits."""
        lanes = self._lanes.get(provider)
        if lanes is None:
            return False
        self._look_at(provider, lanes, now)
        return True

    def next_at(self) -> float | None:
        """When to look again; None where nothing waits."""
        while self._next and not self._is_due(*self._next[0]):
            heapq.heappop(self._next)
        return self._next[0][0] if self._next else None

    def leave(self, now: float, wait_s: Callable[[str], float]) -> Iterator[tuple[Literal["goes", "late"], str, Item]]:
        """What leaves now: may go, or has waited too long; with its provider.

        `wait_s` says how long a provider's next one waits, and is asked again after each that goes.
        """
        while (at := self.next_at()) is not None and at <= now:
            provider = heapq.heappop(self._next)[2]
            lanes = self._lanes[provider]
            lanes.at = float("inf")
            for lane in (lanes.transactional, lanes.marketing):
                while lane and lane[0][0] + self._longest_s <= now:
                    yield "late", provider, self._taken(lane)
            while lanes and (left_s := wait_s(provider)) <= 0:
                yield "goes", provider, self._taken(lanes.transactional or lanes.marketing)
            self._crowd(provider, lanes)
            if lanes:
                self._look_at(provider, lanes, max(now + 1e-3, min(now + left_s, lanes.oldest() + self._longest_s)))
            else:
                del self._lanes[provider]

    def _crowd(self, provider: str, lanes: _Lanes[Item]) -> None:
        taken = len(lanes) / lanes.most
        if taken >= MARKETING:
            self._crowded[provider] = taken
        else:
            self._crowded.pop(provider, None)

    def _taken(self, lane: deque[tuple[float, Item]]) -> Item:
        self._held -= 1
        return lane.popleft()[1]

    def _look_at(self, provider: str, lanes: _Lanes[Item], at: float) -> None:
        if at < lanes.at:
            lanes.at = at
            heapq.heappush(self._next, (at, next(self._tickets), provider))

    def _is_due(self, at: float, _: int, provider: str) -> bool:
        lanes = self._lanes.get(provider)
        return lanes is not None and lanes.at == at
