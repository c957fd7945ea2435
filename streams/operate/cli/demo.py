"""`evenpost demo`: the whole engine on one machine, against a simulated receiver, with a report that proves itself."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving
from streams.operate.cli.terminal import settings


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(demo)


def demo(
    *,
    recipients: Annotated[
        int, typer.Option("--recipients", min=300, max=1_000_000, help="People to write to.")
    ] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed, the same events.")] = 1,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="A new folder for all data; it stays.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary folder.")] = False,
    json: proving.ProofFlag = False,
) -> None:
    """Deliver six campaigns of three tenants over eight IPs to a simulated receiver, and prove what came of it.

    Example: evenpost demo --recipients 3000
    """
    from streams.operate.demo import report, stage
    from streams.operate.demo.run import Demonstrated, demonstrate
    from streams.operate.demo.screen import DemoScreen

    folder = stage.make_folder(data_dir)
    passing = data_dir is None and not keep

    def shown() -> Demonstrated:
        with DemoScreen(Console(stderr=True, emoji=False)) as screen:
            return demonstrate(settings(), folder, screen, recipients=recipients, seed=seed)

    found = proving.proved(shown, folder, passing=passing)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), found)
    proving.end(found.checks, found.figures, folder, passing=passing, json=json)
