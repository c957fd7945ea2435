"""The report of a chaos run: what was done, how long partitions stood still, and what was proved.  Fits 100 columns."""

from typing import Final

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streams.operate.chaos.run import Survived
from streams.operate.checks import summary

WIDTH: Final = 100


def show(console: Console, found: Survived) -> None:
    """Print it."""
    for part in (_kinds(found), _numbers(found), _checks(found), Text(*summary(found.checks))):
        console.print(part)
        console.print()


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False)


def _kinds(found: Survived) -> RenderableType:
    table = _table("From the blow, or the broker's return, to the partition's next effect")
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


def _checks(found: Survived) -> RenderableType:
    table = _table("Checks, each against something counted aside")
    table.add_column("", width=1)
    table.add_column("check", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("what was compared", overflow="fold")
    for one in found.checks:
        mark = "[green]✓[/]" if one.ok else "[bold red]✗[/]"
        table.add_row(mark, escape(one.name), f"{one.value:g}", f"{one.limit:g}", f"[dim]{escape(one.note)}[/]")
    return table
