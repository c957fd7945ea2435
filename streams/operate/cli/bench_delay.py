"""`evenpost bench delay`: what one connection delivers to a receiver that is far away."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost bench`."""
    app.command()(delay)


def delay(
    *,
    messages: Annotated[int, typer.Option("--messages", min=2, max=10_000, help="Over each connection.")] = 30,
    round_trip_ms: Annotated[
        float, typer.Option("--round-trip-ms", min=1, max=2_000, help="To the receiver and back, in ms.")
    ] = 50.0,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=50, help="How often each side runs.")] = 3,
    json: proving.ProofFlag = False,
) -> None:
    """Messages a second over one connection to a receiver 50 ms away, by our pipelining and by plain aiosmtplib.

    A proxy on loopback holds back all that is said by half a round trip, each way.  The receiver is Postfix's smtp-sink
    where the machine has it (Debian: the package postfix), else our simulator; it must count each message.

    Example: evenpost bench delay --round-trip-ms 200
    """
    from streams.operate.bench.delay import report, verdict
    from streams.operate.bench.delay.work import Benched, benched
    from streams.operate.bench.report import Bars

    folder = Path(tempfile.mkdtemp(prefix="evenpost-bench-"))

    def measured() -> Benched:
        with Bars(Console(stderr=True, emoji=False), steps=2 * rounds) as bars:
            return benched(folder, bars.done, messages=messages, rounds=rounds, round_trip_ms=round_trip_ms)

    found = proving.proved(measured, folder, passing=True)
    judged = verdict.checks(found)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), found, judged)
    proving.end(judged, verdict.figures(found), folder, json=json)
