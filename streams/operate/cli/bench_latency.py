"""`evenpost bench latency`: how soon a transactional mail is accepted while marketing waits."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving

# Below so many transactional mails a p99 says nothing: the rightness is checked alone.
_TELLING = 1_000


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost bench`."""
    app.command()(latency)


def latency(
    *,
    backlog: Annotated[
        int, typer.Option("--backlog", min=100, max=5_000_000, help="Marketing mails, written at once.")
    ] = 100_000,
    share: Annotated[
        float,
        typer.Option("--share", min=0.001, max=0.5, help="Transactional mail, of the pipeline's rate."),
    ] = 0.1,
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=3_600, help="For how long it is asked for.")] = 60.0,
    json: proving.ProofFlag = False,
) -> None:
    """From a transactional event to the receiver's 250, while 100,000 marketing mails wait.

    All roles, a process each, on a Kafka and a ClickHouse of their own, over 8 sending IPs into Postfix's smtp-sink
    where the machine has it (Debian: the package postfix), else our simulator.  Transactional mail is asked for evenly,
    at a tenth of the rate that the pipeline was seen to have.  Each must be accepted, and marketing must still wait at
    the end.  Below 1,000 of them only that is judged.

    Example: evenpost bench latency --backlog 100000 --seconds 60
    """
    from streams.operate.bench.ahead import report, run, verdict
    from streams.operate.bench.ahead.work import Plan
    from streams.operate.chaos.screen import ChaosScreen
    from streams.operate.chaos.watching import Watcher

    planned = Plan(backlog=backlog, share=share, seconds=seconds)
    folder = Path(tempfile.mkdtemp(prefix="evenpost-bench-"))

    def measured() -> run.Benched:
        with ChaosScreen(Console(stderr=True, emoji=False)) as screen:
            watcher = Watcher(phase=screen.phase, note=screen.note, progress=screen.progress)
            return run.bench(folder, watcher, planned)

    benched = proving.proved(measured, folder, passing=True)
    judged = verdict.checks(benched, latencies=benched.worked.asked >= _TELLING)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), benched, judged)
    proving.end(judged, verdict.figures(benched), folder, json=json)
