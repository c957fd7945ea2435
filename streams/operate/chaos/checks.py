"""What must hold of any run: the rounds were done, nothing ended unasked, and nothing is left running.  Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from streams.operate.chaos.blows import Struck
from streams.operate.proof.checks import Check, at_most, named


def of_run(struck: Iterable[Struck[Any]], *, unasked: Sequence[str], left: int, started: int) -> list[Check]:
    """Each by its number of faults."""
    missed = [f"round {one.number} {one.kind}: {one.missed}" for one in struck if one.missed]
    return [
        at_most("rounds not done", len(missed), 0, named(missed) or "all as planned"),
        at_most("workers that ended unasked", len(unasked), 0, named(unasked) or "none"),
        at_most("processes left", left, 0, f"{started:,} ran"),
    ]
