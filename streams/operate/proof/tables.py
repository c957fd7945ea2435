"""Tables of the reports, in one style; first of all the one of the checks."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streams.operate.proof.checks import Check, summary


def titled(title: str, *, gap: int = 2) -> Table:
    """A table without edges, `gap` blanks between two columns: the box's divider is one of them."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
    )


def show(console: Console, parts: Sequence[RenderableType], checks: Sequence[Check]) -> None:
    """Print a report: its parts, the checks, and what they come to."""
    for part in (*parts, _of_checks(checks), Text(*summary(checks))):
        console.print(part)
        console.print()


def _of_checks(checks: Sequence[Check]) -> Table:
    table = titled("Checks, each against something counted aside")
    table.add_column("", width=1)
    table.add_column("check", overflow="fold")
    for name in ("value", "limit"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what was compared", overflow="fold")
    for one in checks:
        mark = "[green]✓[/]" if one.ok else "[bold red]✗[/]"
        limit = f"{one.bound} {one.limit:,g}"
        table.add_row(mark, escape(one.name), f"{one.value:,g}", limit, f"[dim]{escape(one.note)}[/]")
    return table
