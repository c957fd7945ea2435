"""A measured process: started, waited for so long as it may take, and ended."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from streams.operate.bench.workloads import Measured, Task
from streams.operate.settings_tree import environment
from streams.runtime.children import Child, spawn
from streams.runtime.settings import Settings

# A process begins, joins its group and ends within this; and the slowest side does so many events a second on a machine
# that has other work.
START_S: Final = 60.0
SLOWEST_PER_S: Final = 250
GRACE_S: Final = 2.0
POLL_S: Final = 0.02
TAIL_LINES: Final = 12


def limit_s(task: Task) -> float:
    """How long it may take."""
    return START_S + task.events / SLOWEST_PER_S


@contextlib.contextmanager
def started(settings: Settings, task: Task) -> Iterator[Child]:
    """The process, ended with the block."""
    arguments: list[str | Path] = [msgspec.json.encode(task).decode(), result_file(settings, task)]
    with spawn(
        [sys.executable, "-P", "-m", "streams.operate.bench.side", *arguments],
        log_file=log_file(settings, task),
        env=environment(settings),
        name=task.run,
        grace_s=GRACE_S,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def measure(settings: Settings, task: Task) -> Measured | str:
    """What it measured, or why it has nothing."""
    with started(settings, task) as child:
        return outcome(settings, task, child)


def outcome(settings: Settings, task: Task, child: Child) -> Measured | str:
    """Wait for its end."""
    limit = limit_s(task)
    deadline = time.monotonic() + limit
    while child.alive and time.monotonic() < deadline:
        time.sleep(POLL_S)
    try:
        return msgspec.json.decode(result_file(settings, task).read_bytes(), type=Measured)
    except FileNotFoundError:
        state = f"not done after {limit:.0f} s" if child.alive else f"ended with {child.returncode}"
        return f"{state}\n{_tail(log_file(settings, task))}"


def result_file(settings: Settings, task: Task) -> Path:
    """Where it writes what it measured."""
    return settings.data_dir / f"{task.run}.json"


def log_file(settings: Settings, task: Task) -> Path:
    """Where its words go."""
    return settings.data_dir / f"{task.run}.log"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
