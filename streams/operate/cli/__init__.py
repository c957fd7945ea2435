"""`evenpost`: every command, one file a subject.

Commands import what they need when they run, so that `evenpost --help` stays quick; Kafka is reached through
`streams.runtime` alone.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from streams.operate.cli import (
    bench,
    campaigns,
    chaos,
    config,
    dead_letters,
    demo,
    egress,
    explain,
    incidents,
    members,
    processes,
    recipients,
    sql,
    suppressions,
    tenants,
    topics,
)
from streams.operate.cli.terminal import CommandGroup

__all__ = ["app", "main"]

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, pretty_exceptions_show_locals=False)
for name, group in (
    ("topics", topics.app),
    ("tenant", tenants.app),
    ("campaign", campaigns.app),
    ("recipients", recipients.app),
    ("suppressions", suppressions.app),
    ("egress", egress.app),
    ("explain", explain.app),
    ("config", config.app),
    ("incidents", incidents.app),
    ("dead-letters", dead_letters.app),
    ("member", members.app),
    ("chaos", chaos.app),
    ("bench", bench.app),
):
    app.add_typer(group, name=name)
processes.register(app)
sql.register(app)
demo.register(app)


@app.callback()
def root(
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings file; otherwise EVENPOST_CONFIG, or ./evenpost.toml."),
    ] = None,
) -> None:
    """Evenpost delivers campaign and transactional mail evenly over a shared pool of IPs.

    Example: evenpost up
    """
    if config_file is not None:
        os.environ["EVENPOST_CONFIG"] = str(config_file)


def main() -> None:
    """The console script's entry."""
    app()
