"""Where a data directory's broker is: `kafka/server.json`, for other processes and for the next start.

The file stays after the end (the next start takes the same port again if it is free); whether the broker runs is asked
of the machine: pid, its command line, and its port.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from streams.runtime.children import is_running

__all__ = ["Server", "free_port", "is_free", "read", "running", "write"]

# Seconds for a TCP connection on loopback: immediate unless the machine hangs.
CONNECT_TIMEOUT_S = 1.0


class Server(msgspec.Struct, frozen=True):
    """A broker that ran, or runs, on a data directory."""

    bootstrap: str
    pid: int
    controller_port: int
    cluster_id: str

    @property
    def port(self) -> int:
        """The broker's port on loopback."""
        return int(self.bootstrap.rpartition(":")[2])


def state_file(data_dir: Path) -> Path:
    """The file's place."""
    return data_dir / "kafka" / "server.json"


def read(data_dir: Path) -> Server | None:
    """What the file says; None when there is none, or a torn one."""
    try:
        return msgspec.json.decode(state_file(data_dir).read_bytes(), type=Server)
    except (OSError, msgspec.DecodeError):
        return None


def write(data_dir: Path, server: Server) -> None:
    """Replace the file in one step."""
    place = state_file(data_dir)
    draft = place.with_suffix(f".{os.getpid()}.tmp")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(server)))
    draft.replace(place)


def running(data_dir: Path) -> Server | None:
    """The data directory's broker, if it is alive and takes connections."""
    server = read(data_dir)
    if server is None or not is_running(server.pid, naming=str(data_dir.resolve())):
        return None
    try:
        with socket.create_connection(("127.0.0.1", server.port), CONNECT_TIMEOUT_S):
            return server
    except OSError:
        return None


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(*preferred: int | None) -> int:
    """The first preferred port that is free, else any free one."""
    for port in preferred:
        if port is not None and is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
