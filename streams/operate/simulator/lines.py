"""Files of one JSON line an entry: opened to append, read back whole line by whole line."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from streams.operate.simulator.errors import BadFileError, LogBrokenError

Entry = TypeVar("Entry")


def opened(path: Path, name: str) -> int:
    """The file's descriptor, to append to; `name` is what the setting is called.  Raises BadFileError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise BadFileError(name, path, error.strerror or str(error)) from error


def entries(path: Path, kind: type[Entry]) -> Iterator[Entry]:
    """Each entry in the order written; a last line without its end is one that is being written.

    Raises LogBrokenError on a whole line that is none.
    """
    decode = msgspec.json.Decoder(kind).decode
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise LogBrokenError(path, number, str(error)) from error
