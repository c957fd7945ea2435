"""The report: what each kind of blow cost, and R1 to R7.  Fits 100 columns."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table

from streams.operate.chaos.edge import known
from streams.operate.chaos.edge.blows import Blow
from streams.operate.chaos.edge.causes import RECEIVER, Found
from streams.operate.chaos.edge.run import Survived
from streams.operate.proof import tables

WIDTH: Final = 100


def show(console: Console, found: Survived) -> None:
    """Print it."""
    tables.show(console, [_blows(found), _numbers(found)], found.checks)


def _blows(found: Survived) -> RenderableType:
    table = tables.titled("What came of the blows: at most one message for each connection that was open")
    table.add_column("blow", no_wrap=True)
    for name in ("times", "open", "in a message", "hold: uncertain", "resend: twice", "of its send"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in sorted({blow.point for blow in found.blows if blow.point}):
        _row(table, f"kill, {point}", [blow for blow in found.blows if blow.point == point], found.found)
    for kind, name in (("stop", "stopped, replaced, continued"), ("broker", "broker killed")):
        _row(table, name, [blow for blow in found.blows if blow.kind == kind], found.found)
    what = [one.what for one in found.found.charges if one.cause == RECEIVER]
    cells = (str(what.count("uncertain")), str(what.count("duplicate")))
    table.add_row("receiver dropped the connection", str(found.figures["dropped_after_the_dot"]), "", "", *cells, "")
    return table


def _row(table: Table, name: str, blows: Sequence[Blow], found: Found) -> None:
    if not blows:
        return
    ended = [one for blow in blows for one in found.open[blow.number]]
    charged = [one.what for blow in blows for one in found.charged(blow)]
    inside = sum(one.stage != "idle" for one in ended)
    table.add_row(
        name,
        *(str(count) for count in (len(blows), len(ended), inside)),
        *(str(charged.count(what)) for what in ("uncertain", "duplicate")),
        str(sum(len(known.own(blow, found)) for blow in blows)) if blows[0].point else "",
    )


def _numbers(found: Survived) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    told = found.figures
    grid.add_row("seed", f"{told['seed']}: the same people and blows again with --seed {told['seed']}")
    grid.add_row("events", f"[bold]{told['events']:,}[/] in {told['seconds']:.0f} s")
    grid.add_row(
        "receiver", f"{told['accepted_by_receiver']:,} messages taken, {told['stalled_after_the_dot']:,} stalled"
    )
    grid.add_row("meanwhile", f"{told['pauses']:,} times a campaign was paused, {told['drains']:,} times an IP drained")
    return grid
