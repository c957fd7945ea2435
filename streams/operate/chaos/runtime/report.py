"""The report of a chaos run: what was done, how long partitions stood still, and what was proved.  Fits 100 columns."""

from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table

from streams.operate.chaos.runtime.run import Survived
from streams.operate.proof import tables

WIDTH: Final = 100


def show(console: Console, found: Survived) -> None:
    """Print it."""
    tables.show(console, [_kinds(found), _numbers(found)], found.checks)


def _kinds(found: Survived) -> RenderableType:
    table = tables.titled("From the blow, or the broker's return, to the partition's next effect")
    table.add_column("what was done", no_wrap=True)
    for name in ("rounds", "partitions", "median", "longest"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, one in found.failovers.items():
        seconds = (f"{value:.1f} s" for value in (one.median_s, one.longest_s))
        table.add_row(str(kind), str(one.rounds), str(one.partitions), *seconds)
    return table


def _numbers(found: Survived) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    told = found.figures
    grid.add_row("seed", f"{told['seed']}: the same rounds again with --seed {told['seed']}")
    grid.add_row("events", f"[bold]{told['events']:,}[/], {told['effects']:,} effects, in {told['seconds']:.0f} s")
    grid.add_row("decided again", f"{told['decided_again']:,}: what a fence or a kill took back")
    grid.add_row("take-overs", f"{told['take_overs']:,} times a partition went to another process")
    gaps = ", ".join(f"{gap.seconds:.1f} s (partition {gap.partition})" for gap in found.gaps[:3])
    grid.add_row("longest gaps", gaps or "-")
    grid.add_row("longest wait", f"{told['longest_wait_s']:.1f} s from an event to its effect")
    return grid
