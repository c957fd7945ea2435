"""A chaos run while it goes on: a picture on a terminal, lines elsewhere; on stderr, as stdout is for data."""

import time
from collections import deque
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

# Seconds between two lines of progress where there is no picture.
LINE_EVERY_S: Final = 10.0
_BAR: Final = 50
_NOTES: Final = 12


class Screen:
    """A context manager; one thread calls it, and the crew's watcher may add notes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self._started = time.monotonic()
        self._phase = ""
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._progress = (0, 0, 1)
        self._line_at = self._started

    def phase(self, words: str) -> None:
        """What begins now."""
        self._phase = words
        self._say(words)

    def note(self, words: str) -> None:
        """Something that happened."""
        self._notes.append(words)
        self._say(f"  {words}")

    def progress(self, sent: int, done: int, planned: int) -> None:
        """How many events were sent, and with how many the workers are done."""
        self._progress = sent, done, planned
        if self._live is not None:
            self._paint()
        elif time.monotonic() - self._line_at >= LINE_EVERY_S:
            self._say(f"  {sent:,} of {planned:,} events sent, {done:,} done")

    def _say(self, words: str) -> None:
        if self._live is not None:
            self._paint()
            return
        self._line_at = time.monotonic()
        passed = self._line_at - self._started
        self._console.print(f"{passed:6.1f} s  {words}", markup=False, highlight=False, soft_wrap=True)

    def _paint(self) -> None:
        if self._live is None:
            return
        sent, done, planned = self._progress
        bars = Table.grid(padding=(0, 2))
        for name, count in (("sent", sent), ("done", done)):
            bars.add_row(name, f"[bold]{count:,}[/]", ProgressBar(total=planned, completed=count, width=_BAR))
        notes = Text("\n".join(self._notes), style="dim", no_wrap=True, overflow="ellipsis")
        self._live.update(Group(Text(self._phase, style="bold yellow"), notes, bars))

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
