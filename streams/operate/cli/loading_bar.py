"""What loading a file looks like: a bar while it runs, the bad rows and a summary after it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from streams.operate.cli.terminal import plain_console, print_json, say
from streams.operate.errors import RefusedError
from streams.operate.loading import Loaded, Progress


@contextmanager
def bar(words: str) -> Iterator[Progress]:
    """A progress bar on stderr where that is a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=plain_console(stderr=True)) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def report(loaded: Loaded, *, json: bool, what: str, **more: Any) -> None:
    """The summary; raises RefusedError where rows were bad, so that the exit code says so."""
    if json:
        print_json(more | msgspec.to_builtins(loaded, enc_hook=str))
    else:
        say(f"{loaded.loaded:,} of {loaded.rows:,} rows {what} ({loaded.encoding})")
        for row in loaded.bad_rows:
            say(f"  line {row.line}: {row.reason}")
    if loaded.bad:
        more_than_listed = loaded.bad - len(loaded.bad_rows)
        where = f"all are in {loaded.bad_file}" if loaded.bad_file else "--bad FILE writes them all"
        left = f", {more_than_listed:,} of them not listed" if more_than_listed else ""
        raise RefusedError(f"{loaded.bad:,} bad rows in {loaded.file}{left}; {where}")
