"""The receiving side of a run: the simulator as a process of its own, and the key that the senders sign with."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from streams.operate.errors import FleetError
from streams.runtime.children import Child, spawn

# A process of Python begins within a second; a busy machine takes many times that.
READY_S: Final = 20.0
_POLL_S: Final = 0.05
# What the field signs with (RFC 8301: 1024 at least, 2048 wanted).
_KEY_BITS: Final = 2048


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where the simulator listens, and its log of messages."""

    pid: int
    smtp_port: int
    dns_port: int | None
    log: Path


@contextmanager
def simulator(folder: Path, *options: str | Path) -> Iterator[Listening]:
    """The simulator on a free port, with these options more.  Raises FleetError."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    ready, log, words = folder / "simulator.json", folder / "simulator.jsonl", folder / "logs" / "simulator.log"
    command: list[str | Path] = [sys.executable, "-P", "-m", "streams.operate.simulator", "--port", "0"]
    command += ["--log", log, "--ready-file", ready, *options]
    with spawn(command, log_file=words, name="simulator") as child:
        wait_for(child, ready.exists, words)
        told = json.loads(ready.read_bytes())
        yield Listening(pid=child.pid, smtp_port=told["smtp_port"], dns_port=told.get("dns_port"), log=log)


def wait_for(child: Child, ready: Callable[[], bool], words: Path) -> None:
    """Wait until a receiver is ready.  Raises FleetError, which names its log, where it is not or has ended."""
    deadline = time.monotonic() + READY_S
    while not ready():
        if not child.alive or time.monotonic() > deadline:
            state = f"not ready after {READY_S:.0f} s" if child.alive else f"ended with {child.returncode}"
            raise FleetError(f"{child.name}: {state}; its words are in {words}")
        time.sleep(_POLL_S)


def make_key(path: Path) -> rsa.RSAPrivateKey:
    """A DKIM key in this file, for its owner alone to read."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return key
