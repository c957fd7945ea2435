"""The state bench for people: a bar while it runs, then figures and checks.  Fits 110 columns."""

from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from streams.operate.bench.state import STEPS, Result
from streams.operate.proof import tables

WIDTH: Final = 110


class Bar:
    """A bar on a terminal, a line for each step elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=len(STEPS))

    def say(self, step: str) -> None:
        """A step begins, and the one before it is done."""
        self._bar.update(self._task, description=escape(step), completed=STEPS.index(step))
        if not self._console.is_terminal:
            self._console.print(step, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def show(console: Console, result: Result) -> None:
    """Print it."""
    figures = tables.titled("Figures")
    figures.add_column("figure")
    figures.add_column("value", justify="right")
    for name, value in result.figures.items():
        figures.add_row(name.replace("_", " "), f"{value:,}")
    tables.show(console, [figures], result.checks)
