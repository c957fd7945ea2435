"""A run while it goes on: a picture on a terminal, lines elsewhere; on stderr, as stdout is for data.

`phase` says what begins, `note` what happened, `show` how far it is.  A subclass says how that looks.
"""

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text


class Screen:
    """A context manager; one thread calls it, others may add notes."""

    # How many phases that are over, and how many notes, the picture keeps.
    PHASES: ClassVar[int] = 12
    NOTES: ClassVar[int] = 4
    # Seconds between two lines of how far it is, where there is no picture.
    LINE_EVERY_S: ClassVar[float] = 5.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self._started = time.monotonic()
        self._done: deque[tuple[str, float]] = deque(maxlen=self.PHASES)
        self._phase: tuple[str, float] | None = None
        self._notes: deque[str] = deque(maxlen=self.NOTES)
        self._beneath: RenderableType = Text()
        self._line_at = 0.0
        self.seconds: dict[str, float] = {}

    def phase(self, name: str) -> None:
        """What begins now; what was begun before is done."""
        now = time.monotonic()
        self._end_phase(now)
        self._phase = name, now
        self._say(name)

    def note(self, words: str) -> None:
        """Something that happened."""
        self._notes.append(words)
        self._say(f"  {words}")

    def show(self, picture: Callable[[], RenderableType], line: Callable[[], str]) -> None:
        """How far it is: the picture, or every few seconds the line."""
        if self._live is not None:
            self._beneath = picture()
            self._paint()
        elif time.monotonic() - self._line_at >= self.LINE_EVERY_S:
            self._line_at = time.monotonic()
            self._say(f"  {line()}")

    def _say(self, words: str) -> None:
        if self._live is not None:
            self._paint()
            return
        passed = time.monotonic() - self._started
        self._console.print(f"{passed:6.1f} s  {words}", markup=False, highlight=False, soft_wrap=True)

    def _end_phase(self, now: float) -> None:
        if self._phase is not None:
            name, since = self._phase
            self.seconds[name] = now - since
            self._done.append((name, now - since))
            self._phase = None

    def _paint(self) -> None:
        if self._live is None:
            return
        phases = Table.grid(padding=(0, 1))
        for name, took in list(self._done):
            phases.add_row("[green]✓[/]", escape(name), f"[dim]{took:.1f} s[/]")
        if self._phase is not None:
            phases.add_row("[yellow]●[/]", f"[bold]{escape(self._phase[0])}[/]", "")
        notes = Text("\n".join(list(self._notes)), style="dim", no_wrap=True, overflow="ellipsis")
        self._live.update(Group(phases, notes, self._beneath))

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_phase(time.monotonic())
        if self._live is not None:
            self._live.stop()
