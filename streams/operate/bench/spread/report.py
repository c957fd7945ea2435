"""The bench of the spread for people: the pool's totals, the providers, the checks.  Fits 110 columns."""

from collections import Counter
from typing import Final

from rich.console import Console, RenderableType

from streams.operate.bench.spread import scene
from streams.operate.bench.spread.run import Spread
from streams.operate.proof import tables
from streams.operate.proof.checks import Check

WIDTH: Final = 110


def show(console: Console, found: Spread, judged: list[Check]) -> None:
    """Print it."""
    tables.show(console, [_pool(found), _providers(found)], judged)


def _pool(found: Spread) -> RenderableType:
    sends = sum(one.dealt for one in found.totals.values())
    rate = sends / found.seconds if found.seconds else 0.0
    table = tables.titled(f"The pool: {sends:,} sends in {found.seconds:.0f} s, {rate:,.0f} a second")
    for name in ("IP", "weight", "sends", "its share", "off by"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for slot, one in found.totals.items():
        weight = scene.ADDED_WEIGHT if slot == scene.ADDED else scene.WEIGHTS[slot]
        off = f"{one.dealt - one.share:+.1f}"
        words = {scene.ADDED: "added midway", scene.DRAINED: "drained midway"}.get(slot, "")
        table.add_row(str(slot), f"{weight:g}", f"{one.dealt:,}", f"{one.share:,.1f}", off, f"[dim]{words}[/]")
    return table


def _providers(found: Spread) -> RenderableType:
    deals: Counter[str] = Counter()
    sequences: Counter[str] = Counter()
    for (_, _, provider), track in found.evidence.tracks.items():
        deals[provider] += len(track)
        sequences[provider] += 1
    table = tables.titled("By provider: the worst of all windows between changes of weights, in sends")
    table.add_column("provider")
    for name in ("sends", "sequences", "worst"):
        table.add_column(name, justify="right", no_wrap=True)
    for provider, count in deals.most_common():
        worst = found.evenness.by_provider.get(provider, 0.0)
        table.add_row(provider, f"{count:,}", str(sequences[provider]), f"{worst:.3f}")
    return table
