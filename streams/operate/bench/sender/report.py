"""The sender's bench for people: one table of figures, then the checks.  Fits 110 columns."""

import statistics
from typing import Final

from rich.console import Console, RenderableType

from streams.operate.bench.sender import verdict
from streams.operate.bench.sender.run import Benched
from streams.operate.bench.sender.sides import SIDES
from streams.operate.proof import tables
from streams.operate.proof.checks import Check

WIDTH: Final = 110
_WORDS: Final = {
    "per_s": "messages/s",
    "cpu_ms": "CPU of the sender, ms a message",
    "broker_cpu_ms": "CPU of the broker, ms a message",
    "commits_per_s": "commits a second, all slots together",
    "intent_p50_ms": "an intent's way to the broker, p50 ms",
    "intent_p99_ms": "an intent's way to the broker, p99 ms",
}


def show(console: Console, benched: Benched, judged: list[Check]) -> None:
    """Print it."""
    tables.show(console, [_figures(benched)], judged)


def _figures(benched: Benched) -> RenderableType:
    table = tables.titled(
        f"One sender: {benched.messages:,} messages of {benched.octets:,} octets, {benched.slots} slots"
    )
    table.add_column(f"into {benched.sink}; the median of {benched.rounds} round(s)")
    for name in ("with the journal", "without", "with / without"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, words in _WORDS.items():
        figure, decimals = verdict.FIGURES[name]
        values = [verdict.median(benched, side, figure) for side in SIDES]
        each = [] if name.startswith("intent") else verdict.ratios(benched, figure)
        ratio = f"[bold]{statistics.median(each):.2f}[/]" if each else ""
        table.add_row(words, *("–" if one is None else f"{one:,.{decimals}f}" for one in values), ratio)
    return table
