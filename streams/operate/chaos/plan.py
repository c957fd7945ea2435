"""What is done to the runtime, and in which order: drawn by the seed, so that a failed run can be had again.  Pure.

Every kind comes at least once where there are rounds enough; the rest are drawn.  Workers are added and removed within
bounds, so that there is always somebody to work and a machine of two cores is not asked for more than it has.
"""

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

FEWEST: Final = 2
MOST: Final = 5
# Seconds between two rounds: short ones meet a group that still settles, long ones one that works.
PAUSE_S: Final = (0.5, 8.0)
# Seconds beyond the session timeout that a worker stays stopped or away: the broker looks for dead members as
# sessions end, and its successors must have taken over while it is gone.
BEYOND_S: Final = (1.0, 4.0)
# Draws until an order of additions and removals stays within bounds; half of all orders do.
_TRIES: Final = 1_000


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


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do; `draw` chooses the worker among those that run then."""

    number: int
    kind: Kind
    pause_s: float  # before it
    beyond_s: float  # beyond the session timeout, where the kind lasts so long
    draw: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    seed: int
    workers: int
    events: int
    rounds: tuple[Round, ...]


def make(*, seed: int, rounds: int, workers: int, events: int, kinds: Sequence[Kind] = tuple(Kind)) -> Plan:
    """Draw a plan of these kinds.  Raises ValueError where no order keeps the workers within bounds."""
    chance = random.Random(seed)  # noqa: S311  # a seed's draw, no secret
    for _ in range(_TRIES):
        drawn = [*kinds, *(chance.choice(list(kinds)) for _ in range(rounds - len(kinds)))]
        chance.shuffle(drawn)
        drawn = drawn[:rounds]
        if _bounded(drawn, workers):
            made = tuple(
                Round(
                    number=number,
                    kind=kind,
                    pause_s=round(chance.uniform(*PAUSE_S), 3),
                    beyond_s=round(chance.uniform(*BEYOND_S), 3),
                    draw=chance.random(),
                )
                for number, kind in enumerate(drawn, 1)
            )
            return Plan(seed=seed, workers=workers, events=events, rounds=made)
    raise ValueError(f"{rounds} rounds of {', '.join(kinds)} leave fewer than {FEWEST} or more than {MOST} workers")


def _bounded(kinds: Sequence[Kind], workers: int) -> bool:
    for kind in kinds:
        workers += (kind is Kind.ADD) - (kind is Kind.REMOVE)
        if not FEWEST <= workers <= MOST:
            return False
    return True


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
