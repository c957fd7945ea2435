"""The demo while it runs: a picture on a terminal, lines elsewhere; on stderr, as stdout is for data.

`Screen.phase` says what begins, `note` what happened, `show` how far delivery is.
"""

import time
from collections import deque
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streams.operate.demo import scene
from streams.operate.demo.watch import Snapshot

COLOURS: Final = {
    "accepted": "green",
    "bounced": "red",
    "expired": "yellow",
    "suppressed": "magenta",
    "capped": "blue",
    "duplicate": "cyan",
    "invalid": "bright_red",
    "rejected": "bright_red",
    "cancelled": "bright_black",
    "uncertain": "bright_yellow",
    "deferred": "yellow",
    "waiting": "bright_black",
}
# Seconds between two lines where there is no picture, and over which the rate is taken.
LINE_EVERY_S: Final = 5.0
RATE_OVER_S: Final = 3.0
_BAR: Final = 40
_NOTES: Final = 4


class Screen:
    """A context manager; one thread calls it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self._started = time.monotonic()
        self._done: list[tuple[str, float]] = []
        self._phase: tuple[str, float] | None = None
        self._notes: deque[str] = deque(maxlen=_NOTES)
        self._history: deque[tuple[float, int]] = deque()
        self._delivery: RenderableType = Text()
        self._line_at = 0.0
        self.seconds: dict[str, float] = {}

    def phase(self, name: str) -> None:
        """What begins now; what was begun before is done."""
        now = time.monotonic()
        self._end_phase(now)
        self._phase = name, now
        if self._live is None:
            self._line(name)
        self._paint()

    def note(self, words: str) -> None:
        """Something that happened."""
        self._notes.append(words)
        if self._live is None:
            self._line(f"  {words}")
        self._paint()

    def show(self, snapshot: Snapshot, *, asked: int, finals: int) -> None:
        """How far delivery is: events asked for, and final outcomes of so many in the end."""
        now = time.monotonic()
        self._history.append((now, snapshot.tried))
        while now - self._history[0][0] > RATE_OVER_S and len(self._history) > 2:  # noqa: PLR2004  # a rate needs two
            self._history.popleft()
        (before, first), (after, last) = self._history[0], self._history[-1]
        rate = (last - first) / (after - before) if after > before else 0.0
        if self._live is not None:
            self._delivery = _picture(snapshot, asked=asked, finals=finals, rate=rate)
            self._paint()
        elif now - self._line_at >= LINE_EVERY_S:
            self._line_at = now
            types = ", ".join(f"{name} {count:,}" for name, count in snapshot.types.most_common())
            self._line(f"  {snapshot.finals:,} of {finals:,} final, {rate:,.0f} tries/s: {types or 'nothing yet'}")

    def _end_phase(self, now: float) -> None:
        if self._phase is not None:
            name, since = self._phase
            self.seconds[name] = now - since
            self._done.append((name, now - since))
            self._phase = None

    def _line(self, words: str) -> None:
        passed = time.monotonic() - self._started
        self._console.print(f"{passed:6.1f} s  {words}", markup=False, highlight=False, soft_wrap=True)

    def _paint(self) -> None:
        if self._live is None:
            return
        phases = Table.grid(padding=(0, 1))
        for name, took in self._done:
            phases.add_row("[green]✓[/]", escape(name), f"[dim]{took:.1f} s[/]")
        if self._phase is not None:
            phases.add_row("[yellow]●[/]", f"[bold]{escape(self._phase[0])}[/]", "")
        notes = Text("\n".join(self._notes), style="dim", no_wrap=True, overflow="ellipsis")
        self._live.update(Group(phases, notes, self._delivery))

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


def _picture(snapshot: Snapshot, *, asked: int, finals: int, rate: float) -> RenderableType:
    head = Table.grid(padding=(0, 2))
    head.add_row("asked for", f"[bold]{asked:,}[/]", ProgressBar(total=finals, completed=asked, width=_BAR))
    head.add_row(
        "final", f"[bold]{snapshot.finals:,}[/]", ProgressBar(total=finals, completed=snapshot.finals, width=_BAR)
    )
    head.add_row("tries a second", f"[bold]{rate:,.0f}[/]", "")
    types = Text()
    for name, count in snapshot.types.most_common():
        types.append(f"●\N{NO-BREAK SPACE}{name}\N{NO-BREAK SPACE}", style=COLOURS.get(name, "white"))
        types.append(f"{count:,}   ")
    bars = Table.grid(padding=(0, 2))
    most = max(snapshot.slots.values(), default=1)
    for slot in scene.egress():
        tried = snapshot.slots[slot.slot]
        bars.add_row(
            f"[dim]{slot.via.address}[/]",
            ProgressBar(total=most, completed=tried, width=_BAR, complete_style="cyan", finished_style="cyan"),
            f"{tried:,}",
        )
    return Group(Text(), head, Text(), types, Text(), bars)
