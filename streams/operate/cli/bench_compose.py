"""`evenpost bench compose`: what a message costs to compose, as a share of its signature."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving
from streams.operate.errors import UsageFault


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost bench`."""
    app.command()(compose)


def compose(
    *,
    messages: Annotated[int, typer.Option("--messages", min=50, max=100_000, help="Messages a turn.")] = 2_000,
    size: Annotated[int, typer.Option("--size", help="KB of a message: 10 or 30.")] = 10,
    turns: Annotated[int, typer.Option("--turns", min=1, max=100, help="How often all is measured.")] = 5,
    json: proving.ProofFlag = False,
) -> None:
    """CPU of a message: template, MIME, links and header, beside the RSA-2048 signature that nobody can spare.

    One core, nothing is sent.  The figure that counts is a ratio of two costs within one turn, so that neither the
    machine nor its neighbours are in it; the best turn counts.  A sample of the messages must verify (dkimpy).

    Example: evenpost bench compose --size 30
    """
    from streams.operate.bench.compose import report, verdict
    from streams.operate.bench.compose.work import Composed, composed
    from streams.operate.bench.mailing import Size
    from streams.operate.bench.report import Bars

    if size not in {10, 30}:
        raise UsageFault(f"--size {size}: there are messages of 10 and of 30 KB")
    kb: Size = 10 if size == 10 else 30  # noqa: PLR2004  # as just said
    folder = Path(tempfile.mkdtemp(prefix="evenpost-bench-"))

    def measured() -> Composed:
        with Bars(Console(stderr=True, emoji=False), steps=turns) as bars:
            return composed(folder, bars.done, messages=messages, turns=turns, size=kb)

    found = proving.proved(measured, folder, passing=True)
    judged = verdict.checks(found, size=kb)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), found, judged)
    proving.end(judged, verdict.figures(found), folder, json=json)
