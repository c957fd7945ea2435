"""What is done to the runtime, and how long it takes.  Pure.

Workers are added and removed within bounds, so that there is always somebody to work and a machine of two cores is not
asked for more than it has.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from streams.operate.chaos import blows
from streams.operate.chaos.blows import NoOrderError, Round

FEWEST: Final = 2
MOST: Final = 5


class Kind(StrEnum):
    """One thing that happens to a worker or to the broker."""

    KILL = "kill"  # kill -9, started again at once
    KILL_AWAY = "kill-away"  # kill -9, away for longer than a session
    RESTART = "restart"  # SIGTERM, then started again
    STOP = "stop"  # SIGSTOP for longer than a session, then SIGCONT
    STOP_IN_COMMIT = "stop-in-commit"  # the same, between a transaction's offsets and its commit
    ADD = "add"  # one worker more
    REMOVE = "remove"  # one worker less, for good
    BROKER_KILL = "broker-kill"  # kill -9 of the broker, started again at once
    BROKER_RESTART = "broker-restart"  # SIGTERM to the broker, then started again
    BROKER_AWAY = "broker-away"  # the broker is away for 15 s


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    seed: int
    workers: int
    events: int
    rounds: tuple[Round[Kind], ...]


def make(*, seed: int, rounds: int, workers: int, events: int, kinds: Sequence[Kind] = tuple(Kind)) -> Plan:
    """Draw a plan of these kinds.  Raises ValueError where no order keeps the workers within bounds."""

    def bounded(order: Sequence[Kind]) -> bool:
        running = workers
        for kind in order:
            running += (kind is Kind.ADD) - (kind is Kind.REMOVE)
            if not FEWEST <= running <= MOST:
                return False
        return True

    try:
        drawn = blows.drawn(kinds, seed=seed, rounds=rounds, fits=bounded)
    except NoOrderError:
        words = f"{rounds} rounds of {', '.join(kinds)} leave fewer than {FEWEST} or more than {MOST} workers"
        raise ValueError(words) from None
    return Plan(seed=seed, workers=workers, events=events, rounds=drawn)


def seconds(plan: Plan, *, session_timeout_s: float) -> float:
    """About how long the rounds take: what upstream's rate is taken from."""
    return sum(one.pause_s + lasts(one.kind, session_timeout_s) + one.beyond_s for one in plan.rounds)


def lasts(kind: Kind, session_timeout_s: float) -> float:
    """About how many seconds a round takes, pause aside; the broker's start takes 5 s, a worker's end 2 s."""
    match kind:
        case Kind.KILL_AWAY | Kind.STOP | Kind.STOP_IN_COMMIT:
            return session_timeout_s
        case Kind.BROKER_AWAY:
            return 20.0
        case Kind.BROKER_KILL | Kind.BROKER_RESTART:
            return 6.0
        case _:
            return 2.0
