"""What is done to the gates, and when: stages of mail with a blow between two.  Pure.

Kills (SIGKILL) and restarts (SIGTERM) take turns, and so do the workers: six make every pair of them once.  After a
third of them the spare IP becomes active, after two thirds one is drained.
"""

from enum import StrEnum
from typing import Final

import msgspec

WORKERS: Final = 3


class Kind(StrEnum):
    """One thing that is done."""

    KILL = "kill -9"
    RESTART = "restart"
    ADD = "add an IP"
    DRAIN = "drain an IP"


class Blow(msgspec.Struct, frozen=True, kw_only=True):
    """It, and to whom; empty: to no worker."""

    kind: Kind
    member: str = ""

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.kind} {self.member}".rstrip()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Events in all, and what is done between their equal stages."""

    seed: int
    events: int
    blows: tuple[Blow, ...]

    @property
    def stages(self) -> tuple[int, ...]:
        """How many events come in each stage."""
        count = len(self.blows) + 1
        return tuple((at + 1) * self.events // count - at * self.events // count for at in range(count))

    @property
    def members(self) -> tuple[str, ...]:
        """The gate workers."""
        return tuple(f"gate-{number}" for number in range(WORKERS))

    @property
    def restarts(self) -> int:
        """How often a worker begins anew."""
        return sum(bool(one.member) for one in self.blows)


def make(*, seed: int, events: int, restarts: int) -> Plan:
    """So many events, and so many restarts and kills among them."""
    blows = [
        Blow(kind=(Kind.KILL, Kind.RESTART)[number % 2], member=f"gate-{number % WORKERS}")
        for number in range(restarts)
    ]
    blows.insert(restarts // 3, Blow(kind=Kind.ADD))
    blows.insert(2 * restarts // 3 + 1, Blow(kind=Kind.DRAIN))
    return Plan(seed=seed, events=events, blows=tuple(blows))
