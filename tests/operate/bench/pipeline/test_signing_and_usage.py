"""What OpenSSL can sign, and what processes used, as the operating system counts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from streams.operate.bench.pipeline import signing
from streams.operate.bench.pipeline.signing import Task
from streams.operate.proof import usage

_BUSY = "import time\nwhile time.process_time() < 0.35: pass\nprint(flush=True)\ninput()"


def test_signatures_are_counted_with_their_cpu() -> None:
    """As many as were made, at a rate that a machine can have: 100 to 20,000 a core-second."""
    signed = signing.sign(Task(span_s=0.2))
    assert signed.signatures >= 50
    assert 100 < signed.signatures / signed.cpu_s < 20_000


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[str]]:
    """A process that used 0.3 s and waits now."""
    with subprocess.Popen([sys.executable, "-c", _BUSY], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_children_count(busy: subprocess.Popen[str]) -> None:
    """Those that live; and of two members of a role both."""
    alone = usage.of_process(busy.pid).cpu_s
    assert alone >= 0.3
    assert usage.of_process(os.getpid()).cpu_s >= alone
    assert usage.by_role({"gate-0": busy.pid, "gate-1": busy.pid})["gate"].cpu_s >= 2 * alone


def test_threads_have_their_names(busy: subprocess.Popen[str]) -> None:
    """All of this one's time is its main thread's, whose name has lost its numbers."""
    used = usage.of_process(busy.pid)
    ((name, spent),) = used.threads.items()
    assert name.startswith("python")
    assert not any(character.isdigit() for character in name.partition(".")[0])
    assert spent == pytest.approx(used.cpu_s, abs=0.05)


def test_a_process_that_is_gone_is_passed_over(busy: subprocess.Popen[str]) -> None:
    """It ends while others are looked at: its role is not told, the others are."""
    busy.kill()
    busy.wait()
    assert usage.by_role({"gate-0": busy.pid, "kafka": os.getpid()}).keys() == {"kafka"}
    assert usage.peak_mb([os.getpid()]) > 10
    assert usage.peak_mb([busy.pid]) == 0
