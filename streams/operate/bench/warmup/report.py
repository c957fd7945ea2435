"""The days for people: when each new IP was warm where, then the checks.  Fits 110 columns."""

from typing import Final

from rich.console import Console, RenderableType

from streams.operate.bench.warmup import audit
from streams.operate.bench.warmup.days import Passed
from streams.operate.bench.warmup.plan import NEW, SHARES
from streams.operate.proof import tables
from streams.operate.proof.checks import Check

WIDTH: Final = 110


def show(console: Console, passed: Passed, judged: list[Check]) -> None:
    """Print it."""
    tables.show(console, [_warm(passed)], judged)


def _warm(passed: Passed) -> RenderableType:
    words = f"{passed.plan.days} days, {passed.asked:,} mails, {passed.taken_over} take-overs of a gate partition"
    table = tables.titled(words)
    table.add_column("provider")
    table.add_column("of all mail", justify="right")
    for slot in NEW:
        table.add_column(f"IP {slot} is warm on day", justify="right")
    days = audit.figures(passed)["warm_on_day"]
    for provider, share in SHARES.items():
        table.add_row(provider, f"{share:.0%}", *(str(days.get(f"{slot}/{provider}", "–")) for slot in NEW))
    return table
