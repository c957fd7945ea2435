"""What the commands that prove something (demo, bench, chaos) do alike, beside their reports.

1. Ctrl-C ends them in order, once.
2. A folder that was only passing is removed; one that tells of a failure stays, and is named.
3. With `--json` they end with one line on stdout, `{"ok", "checks", "figures"}`; the report is on stderr.
4. The exit code is 0 only where every check holds.
"""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, TypeVar

import msgspec
import typer

from streams.operate.cli.terminal import say
from streams.operate.proof.checks import Check

ProofFlag = Annotated[bool, typer.Option("--json", help="End with one JSON line on stdout; the report on stderr.")]

# What a shell reports of a program that Ctrl-C ended.
INTERRUPTED: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_T = TypeVar("_T")


def proved(prove: Callable[[], _T], folder: Path, *, passing: bool) -> _T:
    """What came of it; where it ended otherwise the folder stays, but for a Ctrl-C on one that is `passing`."""
    try:
        with _interruptible():
            return prove()
    except KeyboardInterrupt:
        say("interrupted; everything was stopped")
        _end_folder(folder, passing=passing)
        raise typer.Exit(INTERRUPTED) from None
    except BaseException:
        _end_folder(folder, passing=False)
        raise


@contextmanager
def _interruptible() -> Iterator[None]:
    """The first SIGINT or SIGTERM raises KeyboardInterrupt, and no second one breaks the orderly end off."""
    before = {sign: signal.signal(sign, _interrupt) for sign in _SIGNALS}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    for sign in _SIGNALS:
        signal.signal(sign, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def _end_folder(folder: Path, *, passing: bool) -> None:
    """Remove it, or say where data and the processes' words are."""
    if passing:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"data and logs are in {folder}")


def end(checks: Sequence[Check], figures: Mapping[str, Any], folder: Path, *, passing: bool = True, json: bool) -> None:
    """The end of the folder, the JSON line where asked for, and the exit code."""
    ok = all(one.ok for one in checks)
    _end_folder(folder, passing=passing and ok)
    if json:
        line = {"ok": ok, "checks": [one.line() for one in checks], "figures": figures}
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    if not ok:
        raise typer.Exit(1)
