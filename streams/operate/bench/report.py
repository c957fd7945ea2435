"""The bench for people: progress while it runs, then rates, latencies and checks.  Fits 110 columns."""

from typing import Final, Self

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from streams.operate.bench import verdict
from streams.operate.bench.latency import Latency
from streams.operate.bench.run import Benched, Progress, Ran
from streams.operate.bench.workloads import WORKLOADS, percentile
from streams.operate.proof import tables
from streams.operate.proof.checks import Check

WIDTH: Final = 110
WORDS: Final = {
    "stock": "stock Faust",
    "ours": "ours",
    "transactions": "ours, in transactions",
    "plain": "stock's agent on our transport",
}


class Bars(Progress):
    """A bar on a terminal, a line for each process elsewhere."""

    def __init__(self, console: Console, *, steps: int) -> None:
        self._console = console
        columns = (BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=steps)

    def begin(self, words: str) -> None:
        """Show what is under way."""
        self._bar.update(self._task, description=escape(words))

    def done(self, ran: Ran | str) -> None:
        """One more."""
        self._bar.advance(self._task)
        if not self._console.is_terminal:
            words = ran if isinstance(ran, str) else ran.line
            self._console.print(words, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def show(console: Console, benched: Benched, judged: list[Check]) -> None:
    """Print it."""
    parts = [_rates(benched)] if benched.sides else []
    if isinstance(benched.latency, Latency):
        parts.append(_latency(benched.latency))
    tables.show(console, parts, judged)


def _rates(benched: Benched) -> RenderableType:
    table = tables.titled(f"One worker, {benched.events:,} events, the median of {benched.rounds} round(s)")
    table.add_column("workload")
    table.add_column("by")
    for name in ("events/s", "× stock", "a CPU second", "× stock"):
        table.add_column(name, justify="right", no_wrap=True)
    for workload, sides in benched.sides.items():
        for side in sides:
            cells = []
            for cpu in (False, True):
                rate = verdict.rate(benched, workload, side, cpu=cpu)
                to_stock = verdict.ratio(benched, workload, side, "stock", cpu=cpu)
                cells += [f"{rate:,.0f}", "" if side == "stock" else f"[bold]{to_stock:.2f}[/]"]
            what = f"{workload}: [dim]{WORKLOADS[workload]}[/]" if side == "stock" else ""
            table.add_row(what, WORDS[side], *cells)
        table.add_section()
    return table


def _latency(latency: Latency) -> RenderableType:
    table = tables.titled("From produce to visible for a read-committed reader, in transactions, ms")
    for name in ("", "p50", "p99"):
        table.add_column(name, justify="right" if name else "left")
    for name, values in (
        ("idle: one event at a time", latency.idle_ms),
        ("busy: a steady stream", latency.busy_ms),
        ("busy: of that, a batch's commit", latency.measured.commit_ms),
    ):
        table.add_row(name, f"{percentile(values, 0.5):.1f}", f"{percentile(values, 0.99):.1f}")
    return table
