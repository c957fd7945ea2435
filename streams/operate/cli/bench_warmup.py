"""`evenpost bench warmup`: how two new IPs get known, on a virtual clock."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving
from streams.operate.cli.terminal import say
from streams.operate.errors import UsageFault


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost bench`."""
    app.command()(warmup)


def warmup(
    *,
    days: Annotated[int, typer.Option("--days", min=20, max=120, help="How many days pass.")] = 30,
    mails: Annotated[int, typer.Option("--mails", min=10_000, max=1_000_000, help="Mails a full day.")] = 24_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed, the same days.")] = 1,
    picture: Annotated[Path | None, typer.Option("--picture", metavar="FILE.svg", help="Draw the curve.")] = None,
    json: proving.ProofFlag = False,
) -> None:
    """Thirty days of sixteen warm IPs and two new ones: no allowance exceeded, everything dealt, the curve smooth.

    The gate's dealers and quotas, CONTROL's ledger and the weights are the ones that run in production; the clock is
    virtual, and nothing is sent.  One provider has two bad days in the middle, another one.

    Example: evenpost bench warmup --picture warm-up.svg
    """
    from streams.operate.bench.report import Bars
    from streams.operate.bench.warmup import audit, report
    from streams.operate.bench.warmup.days import Days, Passed
    from streams.operate.bench.warmup.picture import draw
    from streams.operate.bench.warmup.plan import Plan

    if picture is not None and not picture.absolute().parent.is_dir():
        raise UsageFault(f"--picture {picture}: no such directory")
    plan, folder = Plan(seed=seed, days=days, mails=mails), Path(tempfile.mkdtemp(prefix="evenpost-bench-"))

    def passed() -> Passed:
        with Bars(Console(stderr=True, emoji=False), steps=days) as bars:
            return Days(plan).go(lambda day: bars.done(f"day {day + 1}"))

    found = proving.proved(passed, folder, passing=True)
    judged = audit.checks(found)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), found, judged)
    if picture is not None:
        picture.write_text(draw(found), encoding="utf-8")
        say(f"the curve is drawn in {picture}")
    proving.end(judged, audit.figures(found), folder, json=json)
