"""`evenpost bench spread`: is the mail even over the IPs, while gates die and IPs come and go?"""

from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost bench`."""
    app.command()(spread)


def spread(
    *,
    events: Annotated[
        int, typer.Option("--events", min=1_000, max=20_000_000, help="Recipient events to deal.")
    ] = 40_000,
    restarts: Annotated[
        int, typer.Option("--restarts", min=2, max=200, help="Ends of gate workers: kill -9 and SIGTERM in turn.")
    ] = 6,
    seed: Annotated[int, typer.Option("--seed", help="The same seed, the same recipients.")] = 1,
    session_timeout_s: Annotated[
        float, typer.Option("--session-timeout", min=6, max=300, help="Seconds until a silent gate counts as dead.")
    ] = 6.0,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary folder.")] = False,
    json: proving.ProofFlag = False,
) -> None:
    """Deal over 17 IPs of unequal weight, audit every window; kill gates, add an IP and drain one midway.

    Three gate workers on a Kafka of the bench's own deal the mail of 50 tenants to 200 domains of the known providers
    and a tail of up to 10,000 others.  What they dealt is read from the sends topics and held against the weights that
    were declared; dealing at random, and a dealer that forgets at restarts, must fail the same audit.  No mail leaves.

    Example: evenpost bench spread --events 1000000
    """
    from streams.operate.bench.spread import plan, report, run, verdict
    from streams.operate.chaos.screen import ChaosScreen
    from streams.operate.chaos.watching import Watcher

    planned = plan.make(seed=seed, events=events, restarts=restarts)
    folder = run.make_folder()

    def measured() -> run.Spread:
        with ChaosScreen(Console(stderr=True, emoji=False)) as screen:
            watcher = Watcher(phase=screen.phase, note=screen.note, progress=screen.progress)
            return run.spread(folder, planned, watcher, session_timeout_s=session_timeout_s)

    found = proving.proved(measured, folder, passing=not keep)
    judged = verdict.checks(found)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), found, judged)
    proving.end(judged, verdict.figures(found), folder, passing=not keep, json=json)
