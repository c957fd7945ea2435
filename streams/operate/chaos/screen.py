"""A chaos run while it goes on: the round, what happened, and how far the events are."""

from typing import ClassVar, Final

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from streams.operate.proof.screen import Screen

_BAR: Final = 50


class ChaosScreen(Screen):
    """A run's: of its many rounds the last few."""

    PHASES: ClassVar[int] = 3
    NOTES: ClassVar[int] = 12
    LINE_EVERY_S: ClassVar[float] = 10.0

    def progress(self, sent: int, done: int, planned: int) -> None:
        """How many events were sent, and with how many the workers are done."""

        def picture() -> RenderableType:
            bars = Table.grid(padding=(0, 2))
            for name, count in (("sent", sent), ("done", done)):
                bars.add_row(name, f"[bold]{count:,}[/]", ProgressBar(total=planned, completed=count, width=_BAR))
            return bars

        self.show(picture, lambda: f"{sent:,} of {planned:,} events sent, {done:,} done")
