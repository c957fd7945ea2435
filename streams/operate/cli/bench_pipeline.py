"""`evenpost bench pipeline`: what a message costs, all roles together, as a share of its signature."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving
from streams.operate.errors import UsageFault

# Below it a run is over before the pool runs at full speed: its rightness is checked alone.
_TELLING_EVENTS = 20_000


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost bench`."""
    app.command()(pipeline)


def pipeline(
    *,
    messages: Annotated[
        int, typer.Option("--messages", min=200, max=5_000_000, help="Recipient events; 98.5 % of them are mail.")
    ] = 50_000,
    size: Annotated[int, typer.Option("--size", help="KB of a message: 10 or 30.")] = 10,
    dkim: Annotated[
        bool, typer.Option("--dkim/--no-dkim", help="Without, nothing is signed: what all the rest costs.")
    ] = True,
    gates: Annotated[int, typer.Option("--gates", min=1, max=16, help="Gate processes.")] = 1,
    senders: Annotated[int, typer.Option("--senders", min=1, max=16, help="Sender processes.")] = 1,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile", help="A folder for stacks of each worker, by py-spy; the figures are no measure then."
        ),
    ] = None,
    json: proving.ProofFlag = False,
) -> None:
    """Messages a second of the whole pipeline, its CPU a message by role, and its efficiency.

    All roles, a process each, with an embedded Kafka and ClickHouse of their own: one campaign, personalised HTML,
    signed with RSA-2048, over 8 sending IPs into Postfix's smtp-sink where the machine has it (Debian: the package
    postfix), else into our simulator.  All that protects a send is on: caps, duplicates, suppression, journal,
    transactions, leases.  Efficiency is messages a CPU second of all our processes / RSA-2048 signatures a core-second
    of this machine, taken just before and just after; the broker and the sink are told beside.  Each event must have
    its outcome, each message must be at the sink once, a sample's signatures must verify, ClickHouse must be complete.
    Below 20,000 events only that is judged.

    Example: evenpost bench pipeline --messages 50000
    """
    from streams.operate.bench.mailing import Size
    from streams.operate.bench.pipeline import report, run, verdict
    from streams.operate.bench.pipeline.work import Plan
    from streams.operate.chaos.screen import ChaosScreen
    from streams.operate.chaos.watching import Watcher

    if size not in {10, 30}:
        raise UsageFault(f"--size {size}: there are messages of 10 and of 30 KB")
    kb: Size = 10 if size == 10 else 30  # noqa: PLR2004  # as just said
    planned = Plan(events=messages, size=kb, signed=dkim, gates=gates, senders=senders)
    folder = Path(tempfile.mkdtemp(prefix="evenpost-bench-"))

    def measured() -> run.Benched:
        with ChaosScreen(Console(stderr=True, emoji=False)) as screen:
            watcher = Watcher(phase=screen.phase, note=screen.note, progress=screen.progress)
            return run.bench(folder, watcher, planned, profiles=profile)

    benched = proving.proved(measured, folder, passing=True)
    judged = verdict.checks(benched, rates=messages >= _TELLING_EVENTS)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), benched, judged)
    proving.end(judged, verdict.figures(benched), folder, json=json)
