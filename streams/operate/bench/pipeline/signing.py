"""What OpenSSL can sign here: RSA-2048 signatures a second of CPU, on several cores at once.

A message costs one of these whatever we do, so that the pipeline's rate is told as a share of it: what else the machine
does, and how quick it is, meets both alike.  Each core is a process of this module, as cores that share caches and
clock slow each other.  What is signed is as long as a message's header; the call is that of `streams.compose.dkim`.
"""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from streams.operate.bench import processes
from streams.operate.bench.processes import Process
from streams.operate.errors import FleetError
from streams.runtime.settings import Settings

MODULE: Final = "streams.operate.bench.pipeline.signing"
# 12,000 signatures a core, at 250 µs: the rate of two such spans differs by less than 1 % on a quiet machine.
SPAN_S: Final = 3.0
LIMIT_S: Final = 60.0
_HEADER: Final = bytes(1_200)
# Signatures between two looks at the clock.
_STEP: Final = 50


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """How long to sign, in seconds."""

    span_s: float


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """How many signatures in so many seconds of CPU."""

    signatures: int
    cpu_s: float


def cores() -> int:
    """As many as the pipeline may use."""
    return len(os.sched_getaffinity(0))


def per_core_second(settings: Settings, name: str) -> float:
    """Signatures a second of CPU, on all cores at once; `name` tells two measurements apart.  Raises FleetError."""
    tasks = [
        Process(module=MODULE, name=f"signing-{name}-{core}", task=Task(span_s=SPAN_S), found=Signed, limit_s=LIMIT_S)
        for core in range(cores())
    ]
    with contextlib.ExitStack() as stack:
        children = [(task, stack.enter_context(processes.started(settings, task))) for task in tasks]
        found = [processes.outcome(settings, task, child) for task, child in children]
    for one in found:
        if isinstance(one, str):
            raise FleetError(f"what OpenSSL can sign was not measured: {one}")
    signed = [one for one in found if isinstance(one, Signed)]
    return sum(one.signatures for one in signed) / sum(one.cpu_s for one in signed)


def sign(task: Task) -> Signed:
    """Sign for so long."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()
    key.sign(_HEADER, scheme, digest)  # the first one prepares the key
    signatures, began, ends = 0, time.process_time(), time.monotonic() + task.span_s
    while time.monotonic() < ends:
        for _ in range(_STEP):
            key.sign(_HEADER, scheme, digest)
        signatures += _STEP
    return Signed(signatures=signatures, cpu_s=time.process_time() - began)


if __name__ == "__main__":
    processes.tell(Path(sys.argv[2]), sign(msgspec.json.decode(sys.argv[1], type=Task)))
