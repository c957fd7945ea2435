"""The bench of scale for people: costs by role and shape, what many cores would do, the checks.  Fits 110 columns."""

from typing import Final

from rich.console import Console, RenderableType

from streams.operate.bench.scale import verdict
from streams.operate.bench.scale.work import Scaled
from streams.operate.proof import tables
from streams.operate.proof.checks import Check
from streams.runtime.settings import KafkaSettings

WIDTH: Final = 110


def show(console: Console, scaled: Scaled, kafka: KafkaSettings, judged: list[Check]) -> None:
    """Print it."""
    tables.show(console, [_costs(scaled), _outlook(scaled, kafka)], judged)


def _costs(scaled: Scaled) -> RenderableType:
    table = tables.titled(f"CPU a message by role, ms: {scaled.events:,} recipient events each")
    table.add_column("role")
    for shape, _ in scaled.ran:
        table.add_column(shape.words, justify="right")
    for role in scaled.ran[0][1].worked.used:
        table.add_row(role, *(f"{benched.worked.cpu_ms(role):.3f}" for _, benched in scaled.ran))
    table.add_row("messages/s", *(f"{benched.worked.per_s:,.0f}" for _, benched in scaled.ran))
    return table


def _outlook(scaled: Scaled, kafka: KafkaSettings) -> RenderableType:
    table = tables.titled("At these costs: cores of ours, and what is full first")
    for name in ("cores", "messages/s", "broker cores beside", "M a day"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("full first")
    table.add_column("bounds, messages/s", overflow="fold")
    for one in verdict.outlooks(scaled, kafka):
        bounds = ", ".join(f"{name} {per_s:,.0f}" for name, per_s in one.bounds)
        row = f"{one.cores:,}", f"{one.per_s:,.0f}", f"{one.broker_cores:,.0f}", f"{one.a_day / 1e6:,.0f}"
        table.add_row(*row, one.first, bounds)
    return table
