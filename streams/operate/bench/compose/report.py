"""The composer's bench for people: one table of figures, then the checks.  Fits 100 columns."""

from typing import Final

from rich.console import Console

from streams.operate.bench.compose import verdict
from streams.operate.bench.compose.work import Composed
from streams.operate.proof import tables
from streams.operate.proof.checks import Check

WIDTH: Final = 100


def show(console: Console, composed: Composed, judged: list[Check]) -> None:
    """Print it."""
    table = tables.titled(f"{composed.messages:,} messages of {composed.octets:,} octets, CPU on one core")
    table.add_column(f"the best of {len(composed.turns)} turn(s)")
    table.add_column("µs a message", justify="right", no_wrap=True)
    table.add_column("to RSA", justify="right", no_wrap=True)
    rsa_us = min(one.signature_us for one in composed.turns)
    for words, spent_us in (
        ("composed and signed", min(one.whole_us for one in composed.turns)),
        ("composed, with a signature made before", min(one.unsigned_us for one in composed.turns)),
        ("an RSA-2048 signature by OpenSSL", rsa_us),
    ):
        table.add_row(words, f"{spent_us:,.1f}", f"{spent_us / rsa_us:.2f}")
    table.add_row("composing / its signature, of one turn", "", f"[bold]{verdict.share(composed):.2f}[/]")
    tables.show(console, [table], judged)
