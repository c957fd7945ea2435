"""The demo while it runs: how many events were asked for, what became of them, and how evenly over the IPs."""

import time
from collections import deque
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streams.operate.demo import scene
from streams.operate.demo.watch import Snapshot
from streams.operate.proof.screen import Screen

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
# Seconds over which the rate is taken.
RATE_OVER_S: Final = 3.0
_BAR: Final = 40


class DemoScreen(Screen):
    """The demo's."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._history: deque[tuple[float, int]] = deque()

    def delivered(self, snapshot: Snapshot, *, asked: int, finals: int) -> None:
        """How far delivery is: events asked for, and final outcomes of so many in the end."""
        rate = self._rate(snapshot.tried)

        def line() -> str:
            types = ", ".join(f"{name} {count:,}" for name, count in snapshot.types.most_common())
            return f"{snapshot.finals:,} of {finals:,} final, {rate:,.0f} tries/s: {types or 'nothing yet'}"

        self.show(lambda: _picture(snapshot, asked=asked, finals=finals, rate=rate), line)

    def _rate(self, tried: int) -> float:
        now = time.monotonic()
        self._history.append((now, tried))
        while now - self._history[0][0] > RATE_OVER_S and len(self._history) > 2:  # noqa: PLR2004  # a rate needs two
            self._history.popleft()
        (before, first), (after, last) = self._history[0], self._history[-1]
        return (last - first) / (after - before) if after > before else 0.0


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
