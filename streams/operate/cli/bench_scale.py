"""`evenpost bench scale`: what a message costs when two processes share a role, and what is full first at scale."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving
from streams.operate.cli.terminal import settings

# Below it a run is over before the pool runs at full speed: its rightness is checked alone.
_TELLING_EVENTS = 10_000


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost bench`."""
    app.command()(scale)


def scale(
    *,
    messages: Annotated[
        int, typer.Option("--messages", min=200, max=1_000_000, help="Recipient events of each run.")
    ] = 20_000,
    json: proving.ProofFlag = False,
) -> None:
    """CPU a message by role, with one and with two gates and senders, and the arithmetic for 10, 100 and 1,000 cores.

    The pipeline's bench (`evenpost bench pipeline --help`), once for each of the four shapes.  What a role costs a
    message must not grow by more than a tenth when two processes share it.  The outlook counts with the partitions of
    your settings.  Below 10,000 events only the rightness is judged.

    Example: evenpost bench scale --messages 20000
    """
    from streams.operate.bench.scale import report, verdict
    from streams.operate.bench.scale.work import Scaled, scaled
    from streams.operate.chaos.screen import ChaosScreen
    from streams.operate.chaos.watching import Watcher

    kafka = settings().kafka
    folder = Path(tempfile.mkdtemp(prefix="evenpost-bench-"))

    def measured() -> Scaled:
        with ChaosScreen(Console(stderr=True, emoji=False)) as screen:
            watcher = Watcher(phase=screen.phase, note=screen.note, progress=screen.progress)
            return scaled(folder, watcher, events=messages)

    found = proving.proved(measured, folder, passing=True)
    judged = verdict.checks(found, costs=messages >= _TELLING_EVENTS)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), found, kafka, judged)
    proving.end(judged, verdict.figures(found, kafka), folder, json=json)
