"""The simulator's second log: each connection at its end, one JSON line.

Who asks how many connections a sender had open when it was killed asks the receiver: the kernel closes a dead process's
sockets, and the line says when that was and how far the connection was.  A connection that is open when the simulator
ends has its line too.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from streams.operate.simulator.errors import LogLostError
from streams.operate.simulator.lines import entries, opened

# `quit`: the client said so.  `lost`: it went without.  `dropped`: we did, in the middle, as an address asked for or
# for the reply's own sake (421).  `stopped`: the simulator ended.
How = Literal["quit", "lost", "dropped", "stopped"]
# Where it stood: between transactions; after MAIL; within the message; message taken, its reply held back.
Stage = Literal["idle", "envelope", "body", "reply"]

IDLE: Final[Stage] = "idle"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """One connection: from where, from when to when, how it ended, at which stage, and what it had brought."""

    peer: str
    port: int
    opened: datetime
    ended: datetime
    how: How
    stage: Stage
    accepted: int


class ConnectionLog:
    """Appends to `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encode = msgspec.json.Encoder().encode
        self._file = opened(path, "connections")

    def record(self, ended: Ended) -> None:
        """Write it.  Raises LogLostError."""
        try:
            os.write(self._file, self._encode(ended) + b"\n")
        except OSError as error:
            raise LogLostError(self._path, error.strerror or str(error)) from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def read_connections(path: Path) -> Iterator[Ended]:
    """Each connection in the order of their ends.  Raises LogBrokenError on a whole line that is none."""
    return entries(path, Ended)
