"""`evenpost bench state`: how much state a worker bears, and how soon it is ready with it."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving
from streams.operate.cli.terminal import settings


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost bench`."""
    app.command()(state)


def state(
    *,
    suppressions: Annotated[
        int, typer.Option("--suppressions", min=1_000, max=100_000_000, help="Entries of the suppression list.")
    ] = 1_000_000,
    persons: Annotated[
        int, typer.Option("--persons", min=1_000, max=100_000_000, help="Persons in the gate's table.")
    ] = 1_000_000,
    json: proving.ProofFlag = False,
) -> None:
    """The suppression list and the gate's table: time until ready with and without a disk, memory, lookups.

    Each measured process is one of its own, opens its state as a gate does, and is killed with SIGKILL; on a Kafka of
    this bench's own (kafka.bootstrap, where it is set, is used under a prefix of the bench's own, deleted afterwards).
    Ten millions of each need 8 GB of free disk below the system's temporary folder, and a quarter of an hour.

    Example: evenpost bench state --suppressions 10000000 --persons 10000000
    """
    from streams.operate.bench import state_report
    from streams.operate.bench.state import Result, run

    folder = Path(tempfile.mkdtemp(prefix="evenpost-bench-"))

    def measured() -> Result:
        with state_report.Bar(Console(stderr=True, emoji=False)) as bar:
            return run(settings(), folder, bar.say, persons=persons, suppressions=suppressions)

    result = proving.proved(measured, folder, passing=True)
    state_report.show(Console(stderr=json, width=state_report.WIDTH, emoji=False), result)
    proving.end(result.checks, result.figures, folder, json=json)
