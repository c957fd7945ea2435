"""Where the mail goes: a receiver that takes everything, and counts it.

Postfix's smtp-sink (Debian: `apt-get install postfix`) where the machine has it: it leaves the machine's CPU to what is
measured, and its count is none of ours.  Else our simulator, and the report says so.
"""

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

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

    def count(self) -> int:
        """How many messages it took by now: it counts each before it says so."""


def kind() -> Kind:
    """Which one this machine has."""
    return SIMULATOR if _smtp_sink() is None else SMTP_SINK


@contextlib.contextmanager
def receiving(folder: Path) -> Iterator[Sink]:
    """One that has counted nothing yet, ended with the block.  Raises FleetError."""
    program = _smtp_sink()
    with _simulator(folder) if program is None else _debian(program, folder) as sink:
        yield sink


def _smtp_sink() -> str | None:
    return shutil.which(SMTP_SINK, path=os.pathsep.join((os.environ.get("PATH", os.defpath), _SBIN)))


class _Debian:
    """It writes all its counters, one after the other on one line, whenever one of them changes."""

    def __init__(self, port: int, output: Path) -> None:
        self.port = port
        self._output = output

    def count(self) -> int:
        with self._output.open("rb") as counters:
            counters.seek(max(0, counters.seek(0, os.SEEK_END) - _TAIL))
            found = _MESSAGES.findall(counters.read())
        return int(found[-1]) if found else 0


@contextlib.contextmanager
def _debian(program: str, folder: Path) -> Iterator[_Debian]:
    port, output = free_port(), folder / "smtp-sink.log"
    user = ("-u", "nobody") if os.geteuid() == 0 else ()  # it refuses to run as root
    place = f"inet:127.0.0.1:{port}"
    command = [program, *user, "-c", "-m", str(_CONNECTIONS), place, str(_CONNECTIONS)]
    with spawn(command, log_file=output, name=SMTP_SINK) as child:
        wait_for(child, lambda: _listens(port), output)
        yield _Debian(port, output)


class _Simulator:
    """Its log has a line for each message; only what is new is read."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log
        self._read = self._count = 0

    def count(self) -> int:
        with self._log.open("rb") as log:
            log.seek(self._read)
            whole = log.read().rpartition(b"\n")
        self._read += len(whole[0]) + len(whole[1])
        self._count += whole[0].count(b'"code":250,')
        return self._count


@contextlib.contextmanager
def _simulator(folder: Path) -> Iterator[_Simulator]:
    with simulator(folder) as told:
        yield _Simulator(told.smtp_port, told.log)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_S):
        return True
    return False
