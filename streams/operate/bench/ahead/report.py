"""The bench of latency for people: one table, then the checks.  Fits 100 columns."""

from typing import Final

from rich.console import Console

from streams.operate.bench.ahead.run import Benched
from streams.operate.bench.workloads import percentile
from streams.operate.proof import tables
from streams.operate.proof.checks import Check

WIDTH: Final = 100


def show(console: Console, benched: Benched, judged: list[Check]) -> None:
    """Print it."""
    worked = benched.worked
    table = tables.titled(f"{worked.asked:,} transactional mails while marketing waits, into {benched.sink}")
    table.add_column("")
    table.add_column("", justify="right", no_wrap=True)
    table.add_row("marketing mails written at once", f"{benched.planned.backlog:,}")
    table.add_row("of those not yet sent at the end", f"{worked.waiting:,}")
    table.add_row("the pipeline's rate, messages/s", f"{worked.pipeline_per_s:,.0f}")
    table.add_row("transactional beside it, messages/s", f"{worked.asked_per_s:,.0f}")
    for share in (0.5, 0.9, 0.99):
        table.add_row(f"from event to 250, p{share * 100:.0f} ms", f"{percentile(worked.took_ms, share):,.0f}")
    table.add_row("the longest, ms", f"{max(worked.took_ms, default=0.0):,.0f}")
    tables.show(console, [table], judged)
