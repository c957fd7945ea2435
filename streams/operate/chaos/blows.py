"""What is done to a run, and in which order: drawn by the seed, so that a failed run can be had again.  Pure.

Every kind comes at least once where there are rounds enough; the rest are drawn.  Which kinds there are, and which
orders of them make sense, a run of chaos says itself.
"""

import random
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, Generic, TypeVar

import msgspec

# Seconds between two rounds: short ones meet a group that still settles, long ones one that works.
PAUSE_S: Final = (0.5, 8.0)
# Seconds beyond the session timeout that a worker stays stopped or away: the broker looks for dead members as
# sessions end, and its successors must have taken over while it is gone.
BEYOND_S: Final = (1.0, 4.0)
# Draws until an order makes sense; half of all orders of additions and removals do.
_TRIES: Final = 1_000

KindT = TypeVar("KindT", bound=StrEnum)


class Round(msgspec.Struct, Generic[KindT], frozen=True, kw_only=True):
    """One thing to do; `draw` chooses the worker among those that run then."""

    number: int
    kind: KindT
    pause_s: float  # before it
    beyond_s: float  # beyond the session timeout, where the kind lasts so long
    draw: float


class Struck(msgspec.Struct, Generic[KindT], frozen=True, kw_only=True):
    """One round as it was: epoch seconds from the blow to the moment when everything runs again."""

    number: int
    kind: KindT
    member: str  # empty: the broker
    at: float
    until: float
    missed: str = ""  # why it could not be done


class NoOrderError(ValueError):
    """No order of these kinds makes sense."""


def drawn(
    kinds: Sequence[KindT], *, seed: int, rounds: int, fits: Callable[[Sequence[KindT]], bool]
) -> tuple[Round[KindT], ...]:
    """Draw so many rounds of these kinds, in an order that `fits`.  Raises NoOrderError where none is found."""
    chance = random.Random(seed)  # noqa: S311  # a seed's draw, no secret
    for _ in range(_TRIES):
        order = [*kinds, *(chance.choice(list(kinds)) for _ in range(rounds - len(kinds)))]
        chance.shuffle(order)
        order = order[:rounds]
        if fits(order):
            return tuple(
                Round(
                    number=number,
                    kind=kind,
                    pause_s=round(chance.uniform(*PAUSE_S), 3),
                    beyond_s=round(chance.uniform(*BEYOND_S), 3),
                    draw=chance.random(),
                )
                for number, kind in enumerate(order, 1)
            )
    raise NoOrderError(f"no order of {rounds} rounds of {', '.join(kinds)} was found")
