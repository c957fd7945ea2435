"""A measured process: started, waited for until its result is there or so long as it may take, and ended.

It is `python -m MODULE TASK RESULT`, settings by the environment; TASK is JSON, and the file RESULT is there only when
all of it is.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from streams.operate.settings_tree import environment
from streams.runtime.children import Child, spawn
from streams.runtime.settings import Settings

GRACE_S: Final = 2.0
POLL_S: Final = 0.02
TAIL_LINES: Final = 12

FoundT = TypeVar("FoundT", bound=msgspec.Struct)


class Process(msgspec.Struct, Generic[FoundT], frozen=True, kw_only=True):
    """One to be started: what it is given, what it tells, and how long it may take (s)."""

    module: str
    name: str  # of its files, too
    task: msgspec.Struct
    found: type[FoundT]
    limit_s: float


@contextlib.contextmanager
def started(settings: Settings, process: Process[FoundT]) -> Iterator[Child]:
    """The process, killed with the block's end."""
    task = msgspec.json.encode(process.task).decode()
    arguments: list[str | Path] = ["-P", "-m", process.module, task, _file(settings, process, "json")]
    with spawn(
        [sys.executable, *arguments],
        log_file=_file(settings, process, "log"),
        env=environment(settings),
        name=process.name,
        grace_s=GRACE_S,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def outcome(settings: Settings, process: Process[FoundT], child: Child) -> FoundT | str:
    """Wait for what it tells; where it tells nothing, the words say why."""
    result = _file(settings, process, "json")
    deadline = time.monotonic() + process.limit_s
    while child.alive and time.monotonic() < deadline and not result.exists():
        time.sleep(POLL_S)
    try:
        return msgspec.json.decode(result.read_bytes(), type=process.found)
    except FileNotFoundError:
        state = f"not done after {process.limit_s:.0f} s" if child.alive else f"ended with {child.returncode}"
        return f"{state}\n{_tail(_file(settings, process, 'log'))}"


def tell(result: Path, found: msgspec.Struct) -> None:
    """Write the result, whole or not at all; called in the process."""
    fresh = result.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(found))
    fresh.replace(result)


def _file(settings: Settings, process: Process[FoundT], ending: str) -> Path:
    return settings.data_dir / f"{process.name}.{ending}"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])
