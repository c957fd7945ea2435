"""The report: what came of each campaign, how evenly, how fast, and what was proved.  Fits 100 columns."""

from collections import Counter, defaultdict
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streams.operate.demo import checks, scene
from streams.operate.demo.run import Demonstrated
from streams.operate.demo.screen import COLOURS
from streams.operate.proof import tables
from streams.spread.check import WINDOW_BOUND

WIDTH: Final = 100
_BAR: Final = 14


def show(console: Console, found: Demonstrated) -> None:
    """Print it."""
    tables.show(console, [_campaigns(found), _spread(found), _speed(found)], found.checks)


def _campaigns(found: Demonstrated) -> RenderableType:
    ends: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found.evidence.deliveries:
        if one.final:
            ends[f"{one.tenant}:{one.campaign_id}"][one.type] += 1
    asked = Counter(one.campaign for one in found.evidence.asked)
    types = [name for name in COLOURS if any(count[name] for count in ends.values())]
    table = tables.titled("Outcomes by campaign", gap=1)
    table.add_column("campaign", no_wrap=True)
    for name in ("events", *types):
        table.add_column(name, justify="right", header_style=COLOURS.get(name, ""), no_wrap=True)
    for mailing in scene.MAILINGS:
        counts = ends[mailing.key]
        cells = [f"{counts[name]:,}" if counts[name] else "[dim]·[/]" for name in types]
        table.add_row(escape(mailing.key), f"{asked[mailing.key]:,}", *cells)
    return table


def _spread(found: Demonstrated) -> RenderableType:
    groups = checks.dealt(found.evidence)
    providers = sorted({provider for _, _, provider in groups})
    dealt = Counter((send.provider, send.slot) for sends in groups.values() for send in sends)
    worst = {
        provider: checks.deviation({group: sends for group, sends in groups.items() if group[2] == provider})
        for provider in providers
    }
    table = tables.titled("Mail dealt to each IP, by provider")
    table.add_column("IP", no_wrap=True)
    for provider in (*providers, "all"):
        table.add_column(provider, justify="right", no_wrap=True)
    table.add_column("", width=_BAR)
    slots = {slot.slot: sum(dealt[provider, slot.slot] for provider in providers) for slot in scene.egress()}
    most = max(slots.values(), default=1)
    for slot in scene.egress():
        counts = (f"{dealt[provider, slot.slot]:,}" for provider in providers)
        bar = Text("━" * round(_BAR * slots[slot.slot] / max(most, 1)), style="cyan")
        table.add_row(str(slot.via.address), *counts, f"[bold]{slots[slot.slot]:,}[/]", bar)
    table.add_section()
    bounded = (f"[{'green' if value <= WINDOW_BOUND else 'red'}]{value:.2f}[/]" for value in worst.values())
    table.add_row("worst window", *bounded, f"[bold]≤ {WINDOW_BOUND:g}[/]", "")
    note = "Worst window: how many sends an IP was off its share in any run of sends of any gate partition."
    return Group(
        table, Text(f"{note}\nIPs drawn at random would be off by {checks.shuffled(groups):.1f}.", style="dim")
    )


def _speed(found: Demonstrated) -> RenderableType:
    pace = found.pace
    grid = Table.grid(padding=(0, 2))
    span = f"{pace.mails:,} from the first dealt to the last tried, in {pace.seconds:.1f} s"
    inbox = f"p50 [bold]{pace.p50_ms:,.0f}[/] ms, p99 [bold]{pace.p99_ms:,.0f}[/] ms"
    grid.add_row("rate", f"[bold]{pace.per_s:,.0f}[/] mails/s: {span}")
    grid.add_row("transactional", f"{inbox} from event to inbox, beside the campaigns")
    grid.add_row("came back", f"{pace.returned_share:.1%} of the mails were dealt again, to the IP that they had")
    roles = " · ".join(f"{role} {used:,.0f}" for role, used in pace.cpu_us.items())
    grid.add_row("CPU µs a mail", roles)
    return Group(Text("Speed", style="bold"), grid)
