"""The far receiver's bench for people: one table, then the checks.  Fits 100 columns."""

import statistics
from typing import Final

from rich.console import Console

from streams.operate.bench.delay import verdict
from streams.operate.bench.delay.work import SIDES, Benched
from streams.operate.proof import tables
from streams.operate.proof.checks import Check

WIDTH: Final = 100
_WORDS: Final = {"ours": "ours: MAIL, RCPT and DATA in one write", "aiosmtplib": "aiosmtplib's sendmail"}


def show(console: Console, benched: Benched, judged: list[Check]) -> None:
    """Print it."""
    table = tables.titled(
        f"{benched.messages:,} messages over one connection, {benched.round_trip_ms:g} ms away, {benched.sink}"
    )
    table.add_column(f"the median of {len(benched.ran) // len(SIDES)} round(s)")
    table.add_column("messages/s", justify="right", no_wrap=True)
    table.add_column("round trips a message", justify="right", no_wrap=True)
    for side in SIDES:
        per_s = statistics.median(benched.per_s(side).values())
        table.add_row(_WORDS[side], f"{per_s:.2f}", f"{1000 / per_s / benched.round_trip_ms:.2f}")
    table.add_row("ours / aiosmtplib", f"[bold]{statistics.median(verdict.ratios(benched)):.2f}[/]", "")
    tables.show(console, [table], judged)
