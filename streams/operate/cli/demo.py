"""`evenpost demo`: the whole engine on one machine, against a simulated receiver, with a report that proves itself."""

import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from streams.operate.cli.terminal import say, settings

# What a shell reports of a program that Ctrl-C ended.
_INTERRUPTED = 130


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
    json: Annotated[
        bool, typer.Option("--json", help="End with one JSON line on stdout; the report on stderr.")
    ] = False,
) -> None:
    """Deliver six campaigns of three tenants over eight IPs to a simulated receiver, and prove what came of it.

    Example: evenpost demo --recipients 3000
    """
    from streams.operate.demo import report, stage
    from streams.operate.demo.run import demonstrate
    from streams.operate.demo.screen import Screen

    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _interrupt)
    folder = stage.make_folder(data_dir)
    passing = data_dir is None and not keep
    try:
        with Screen(Console(stderr=True, emoji=False)) as screen:
            found = demonstrate(settings(), folder, screen, recipients=recipients, seed=seed)
    except KeyboardInterrupt:
        say("interrupted; everything was stopped")
        _leave(folder, passing=passing)
        raise typer.Exit(_INTERRUPTED) from None
    except BaseException:
        _leave(folder, passing=False)
        raise
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), found)
    _leave(folder, passing=passing and found.ok)
    if json:
        line: dict[str, Any] = {
            "ok": found.ok,
            "checks": [one.line() for one in found.checks],
            "figures": found.figures,
        }
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    if not found.ok:
        raise typer.Exit(1)


def _leave(folder: Path, *, passing: bool) -> None:
    """Remove what was only passing; say where the rest is: data, the simulator's log, each member's words."""
    if passing:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"data and logs are in {folder}")


def _interrupt(number: int, _: FrameType | None) -> None:
    """End in order; a second Ctrl-C must not break that off."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.SIG_IGN)
    raise KeyboardInterrupt(number)
