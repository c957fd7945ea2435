"""The pipeline's bench, once for each number of gates and senders, each on a broker and a ClickHouse of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from streams.operate.bench.pipeline import run
from streams.operate.bench.pipeline.run import Benched
from streams.operate.bench.pipeline.work import Plan
from streams.operate.chaos.watching import Watcher


class Shape(msgspec.Struct, frozen=True):
    """How many of the two roles that carry every message."""

    gates: int
    senders: int

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.gates} gate{'s' * (self.gates > 1)}, {self.senders} sender{'s' * (self.senders > 1)}"


ONE: Final = Shape(1, 1)
SHAPES: Final[Sequence[Shape]] = (ONE, Shape(1, 2), Shape(2, 1), Shape(2, 2))


class Scaled(msgspec.Struct, frozen=True, kw_only=True):
    """Every shape's run."""

    events: int
    ran: tuple[tuple[Shape, Benched], ...]


def scaled(folder: Path, watcher: Watcher, *, events: int, shapes: Sequence[Shape] = SHAPES) -> Scaled:
    """Run them.  Raises what `pipeline.run.bench` does."""
    found = []
    for shape in shapes:
        watcher.note(shape.words)
        below = folder / f"{shape.gates}x{shape.senders}"
        below.mkdir()
        planned = Plan(events=events, gates=shape.gates, senders=shape.senders)
        found.append((shape, run.bench(below, watcher, planned, profiles=None)))
    return Scaled(events=events, ran=tuple(found))
