"""The two sides of a round, and the process that each is."""

import sys
from pathlib import Path
from typing import Final, Literal

from streams.operate.up import WORKER

# with: the product · without: the same, but no intent and no outcome is written; effects and offsets are.
Side = Literal["with", "without"]
SIDES: Final[tuple[Side, Side]] = ("with", "without")
MEMBER: Final = "sender-bench"


def order(number: int) -> tuple[Side, Side]:
    """Who begins in the round of this number, from 1: in turn, so that what else the machine does meets both."""
    first, second = SIDES
    return (first, second) if number % 2 else (second, first)


def program(side: Side) -> list[str | Path]:
    """What runs the sender: the product's own command, or `side`."""
    if side == "with":
        return [*WORKER, "sender", "--member", MEMBER]
    return [sys.executable, "-P", "-m", "streams.operate.bench.sender.side"]
