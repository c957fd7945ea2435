"""The pipeline's bench for people: what it costs by role, where that goes if somebody looked, the checks.

Fits 110 columns.
"""

from typing import Final

from rich.console import Console, RenderableType
from rich.markup import escape

from streams.operate.bench.pipeline import profile, verdict
from streams.operate.bench.pipeline.profile import Tops
from streams.operate.bench.pipeline.run import Benched
from streams.operate.proof import tables
from streams.operate.proof.checks import Check

WIDTH: Final = 110
# Rooms that a profile's table shows, as many as functions.
_ROOMS: Final = profile.TOP


def show(console: Console, benched: Benched, judged: list[Check]) -> None:
    """Print it."""
    looks = [_top(member, tops) for member, tops in benched.tops.items()]
    tables.show(console, [_rate(benched), _roles(benched), *looks], judged)


def _rate(benched: Benched) -> RenderableType:
    worked = benched.worked
    table = tables.titled(
        f"{worked.messages:,} messages of {benched.octets:,} octets into {benched.sink}{_odd(benched)}"
    )
    table.add_column("")
    table.add_column("", justify="right", no_wrap=True)
    table.add_row("messages/s, first event to last outcome", f"{worked.per_s:,.0f}")
    table.add_row("messages/s, in the middle", f"{worked.middle_per_s:,.0f}")
    table.add_row("messages a CPU second of all our processes", f"{worked.per_cpu_second:,.0f}")
    told = " and ".join(f"{one:,.0f}" for one in benched.signs_per_s)
    table.add_row("RSA-2048 signatures a core-second, before and after", told)
    table.add_row("efficiency", f"[bold]{verdict.efficiency(benched):.3f}[/]")
    return table


def _odd(benched: Benched) -> str:
    """What sets this run apart from the product."""
    odd = [] if benched.planned.signed else ["WITHOUT DKIM"]
    odd += ["looked into by py-spy: no measure"] if benched.tops else []
    return f"; {', '.join(odd)}" if odd else ""


def _roles(benched: Benched) -> RenderableType:
    table = tables.titled("CPU, by the operating system")
    table.add_column("role")
    for name in ("ms a message", "share", "peak MB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    worked, total = benched.worked, verdict.total_ms(benched)
    for role in worked.ours:
        share = f"{worked.cpu_ms(role) / total:.0%}" if total else ""
        table.add_row(role, f"{worked.cpu_ms(role):.3f}", share, f"{worked.peak_mb[role]:,.0f}", "")
    table.add_row("all ours", f"[bold]{total:.3f}[/]", "100%", "", "")
    for role in worked.used.keys() - worked.ours.keys():
        table.add_row(
            role, f"{worked.cpu_ms(role):.3f}", "", f"{worked.peak_mb[role]:,.0f}", "[dim]beside, not in it[/]"
        )
    return table


def _top(member: str, tops: Tops) -> RenderableType:
    table = tables.titled(f"{member}: seen at work {tops.looks:,} times, {profile.RATE_HZ} looks a second a thread")
    for name in ("self", "function", "in", "room of ours"):
        table.add_column(name, justify="right" if name in {"self", "in"} else "left", overflow="fold")
    for place in range(max(len(tops.functions), min(_ROOMS, len(tops.rooms)))):
        row: list[str] = []
        for named in (tops.functions, tops.rooms):
            name, share = named[place] if place < len(named) else ("", None)
            row += ["" if share is None else f"{share:.1%}", escape(name)]
        table.add_row(*row)
    return table
