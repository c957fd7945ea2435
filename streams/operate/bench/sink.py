"""Where the mail goes: a receiver that takes everything, and counts it.

Postfix's smtp-sink (Debian: `apt-get install postfix`) where the machine has it: it leaves the machine's CPU to what is
measured, and its count is none of ours.  Else our simulator, and the report says so.

Where messages are to be kept, `received` says afterwards who was written to how often, and gives each K-th message
(`took.py`).
"""

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from streams.operate.bench import took
from streams.operate.bench.took import Took
from streams.operate.proof.receiving import simulator, wait_for
from streams.runtime.children import spawn
from streams.runtime.embedded.state import free_port

Kind = str
SMTP_SINK: Final = "smtp-sink"
SIMULATOR: Final = "our simulator"
# Where Debian puts it, which is not on everybody's path.
_SBIN: Final = "/usr/sbin"
# smtp-sink takes 256 connections unless told otherwise: 253 slots have 1,012.
_CONNECTIONS: Final = 2_000
# A connection on loopback is made at once, or not at all.
_CONNECT_S: Final = 1.0
# One of its counters is at most 60 octets, and the last one counts.
_TAIL: Final = 256
_MESSAGES: Final = re.compile(rb"mesg=(\d+)\r")


class Sink(Protocol):
    """A receiver that runs."""

    port: int
    pid: int

    def count(self) -> int:
        """How many messages it took by now: it counts each before it says so."""

    def received(self) -> Took:
        """What it took, where messages were to be kept."""


def kind() -> Kind:
    """Which one this machine has."""
    return SIMULATOR if _smtp_sink() is None else SMTP_SINK


@contextlib.contextmanager
def receiving(folder: Path, *, keep_every: int = 0) -> Iterator[Sink]:
    """One that has counted nothing yet, ended with the block; `keep_every` K keeps each K-th message, 0 none.

    Raises FleetError.
    """
    program = _smtp_sink()
    with _simulator(folder, keep_every) if program is None else _debian(program, folder, keep_every) as sink:
        yield sink


def _smtp_sink() -> str | None:
    return shutil.which(SMTP_SINK, path=os.pathsep.join((os.environ.get("PATH", os.defpath), _SBIN)))


class _Debian:
    """It writes all its counters, one after the other on one line, whenever one of them changes."""

    def __init__(self, *, port: int, pid: int, output: Path, kept: Path, keep_every: int) -> None:
        self.port = port
        self.pid = pid
        self._output = output
        self._kept = kept
        self._keep_every = keep_every

    def received(self) -> Took:
        return took.of_smtp_sink(self._kept, self._keep_every)

    def count(self) -> int:
        with self._output.open("rb") as counters:
            counters.seek(max(0, counters.seek(0, os.SEEK_END) - _TAIL))
            found = _MESSAGES.findall(counters.read())
        return int(found[-1]) if found else 0


@contextlib.contextmanager
def _debian(program: str, folder: Path, keep_every: int) -> Iterator[_Debian]:
    port, output, kept = free_port(), folder / "smtp-sink.log", folder / "smtp-sink.mail"
    # It appends each message whole to one file: all of them, which it writes quicker than it would choose.
    keep: tuple[str | Path, ...] = ("-D", kept) if keep_every else ()
    # It refuses to run as root unless told whose rights to take: nobody's, or ours where it writes to our folder.
    user = ("-u", "root" if keep_every else "nobody") if os.geteuid() == 0 else ()
    place = f"inet:127.0.0.1:{port}"
    command = [program, *user, "-c", *keep, "-m", str(_CONNECTIONS), place, str(_CONNECTIONS)]
    with spawn(command, log_file=output, name=SMTP_SINK) as child:
        wait_for(child, lambda: _listens(port), output)
        yield _Debian(port=port, pid=child.pid, output=output, kept=kept, keep_every=keep_every)


class _Simulator:
    """Its log has a line for each message; only what is new is read."""

    def __init__(self, *, port: int, pid: int, log: Path, kept: Path) -> None:
        self.port = port
        self.pid = pid
        self._log = log
        self._kept = kept
        self._read = self._count = 0

    def received(self) -> Took:
        return took.of_simulator(self._log, self._kept)

    def count(self) -> int:
        with self._log.open("rb") as log:
            log.seek(self._read)
            whole = log.read().rpartition(b"\n")
        self._read += len(whole[0]) + len(whole[1])
        self._count += whole[0].count(b'"code":250,')
        return self._count


@contextlib.contextmanager
def _simulator(folder: Path, keep_every: int) -> Iterator[_Simulator]:
    kept = folder / "simulator-kept"
    with simulator(folder, "--keep-every", str(keep_every), "--keep-dir", kept) as told:
        yield _Simulator(port=told.smtp_port, pid=told.pid, log=told.log, kept=kept)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_S):
        return True
    return False
