"""`evenpost bench sender`: how much mail one sender delivers, with its journal and without."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.operate.cli import proving
from streams.operate.cli.terminal import settings

# Below it a run is over before its rate says anything: its rightness is checked alone.
_TELLING_MESSAGES = 3_000
# 127.0.0.2 to 127.0.0.254.
_MAX_SLOTS = 253


def register(app: typer.Typer) -> None:
    """Add the command to `evenpost bench`."""
    app.command()(sender)


def sender(
    *,
    messages: Annotated[
        int, typer.Option("--messages", min=20, max=5_000_000, help="Messages that each side is given, each round.")
    ] = 10_000,
    slots: Annotated[int, typer.Option("--slots", min=1, max=_MAX_SLOTS, help="Sending IPs, 4 connections each.")] = 4,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=50, help="How often each side runs.")] = 3,
    json: proving.ProofFlag = False,
) -> None:
    """Messages a second of one sender, its CPU a message, and what the journal costs: with it and without, in turn.

    Each run is a process of its own, on a Kafka of this bench's own (kafka.bootstrap, where it is set, is used under a
    prefix of the bench's own, deleted afterwards).  Personalised, DKIM-signed messages of 10 KB go to Postfix's
    smtp-sink where the machine has it (Debian: the package postfix), else to our simulator, which takes more CPU.  Each
    message must be there once, delivered once, and its offset committed.  Below 3,000 messages only that is judged.

    Example: evenpost bench sender --messages 10000 --rounds 3
    """
    from streams.operate.bench import report as bars
    from streams.operate.bench.sender import report, run, verdict

    folder = Path(tempfile.mkdtemp(prefix="evenpost-bench-"))

    def measured() -> run.Benched:
        with bars.Bars(Console(stderr=True, emoji=False), steps=1 + 2 * rounds) as bar:
            return run.bench(settings(), folder, bar.begin, bar.done, messages=messages, slots=slots, rounds=rounds)

    benched = proving.proved(measured, folder, passing=True)
    judged = verdict.checks(benched, rates=messages >= _TELLING_MESSAGES)
    report.show(Console(stderr=json, width=report.WIDTH, emoji=False), benched, judged)
    proving.end(judged, verdict.figures(benched), folder, json=json)
