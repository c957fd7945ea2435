"""Where the CPU of each process goes, function by function: py-spy looks at their stacks while they work.

1. One `py-spy record` a member, RATE_HZ looks a second at every Python thread that runs; C that Python called counts
   for its caller, while threads of librdkafka, RocksDB and ClickHouse are none of Python's: `usage` tells those.
2. `<member>.folded` is a stack a line with its count, as flamegraph.pl and speedscope.app read it.
3. `tops` sums them: self time by function, and by room, which is the innermost module of ours that a stack is in.

Nothing is stopped for a look: that would wake every thread that waits, and slow a worker of fifty threads tenfold.  So
a few stacks are torn; and looking takes CPU, so that figures of a run that was looked into are no measure, and say so.
"""

import contextlib
import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from streams.operate.errors import FleetError, UsageFault
from streams.runtime.children import Child, spawn

PY_SPY: Final = "py-spy"
RATE_HZ: Final = 100
TOP: Final = 15
# It writes the file at its end: some thousand stacks.
_ENDS_S: Final = 30.0
# `function (path/of/module.py:123)`; what is no Python has no path.
_FRAME: Final = re.compile(r"^(?P<function>.*) \((?P<file>[^()]*?)(?::\d+)?\)$")
_OURS: Final = re.compile(r"(?:^|/)(?P<room>(?:streams|agents|schemas)/[\w/]*?\w+)\.py$")
# What every stack of a worker begins with.
_BEGINNINGS: Final = frozenset({"agents/__main__", "streams/runtime/life/worker"})
_SITE: Final = re.compile(r"python3\.\d+/(?:site-packages/)?(?P<path>.*)$")


class Tops(msgspec.Struct, frozen=True, kw_only=True):
    """One process's: how often it was seen at work, and shares of that by function (self time) and by room."""

    looks: int
    functions: tuple[tuple[str, float], ...]
    rooms: tuple[tuple[str, float], ...]


def program() -> str:
    """Where py-spy is.  Raises UsageFault."""
    found = shutil.which(PY_SPY, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if found is None:
        raise UsageFault("--profile needs py-spy: pip install 'evenpost[profile]'")
    return found


@contextlib.contextmanager
def looking(pids: Mapping[str, int], folder: Path) -> Iterator[None]:
    """Look into these processes, by member, until the block ends; a file for each of them is in `folder` then.

    Raises FleetError where py-spy could not look, which takes the right to trace them (ptrace(2)).
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        children: list[Child] = []
        for member, pid in pids.items():
            command: list[str | Path] = [program(), "record", "--nonblocking", "--pid", str(pid)]
            command += ["--rate", str(RATE_HZ), "--format", "raw", "--output", folder / f"{member}.folded"]
            name = f"{PY_SPY} {member}"
            children.append(stack.enter_context(spawn(command, log_file=folder / f"{member}.log", name=name)))
        try:
            yield
        finally:
            for child in children:
                child.signal(signal.SIGINT)
            for child in children:
                with contextlib.suppress(TimeoutError):
                    child.wait(_ENDS_S)
    for member in pids:
        if not (folder / f"{member}.folded").exists():
            raise FleetError(f"py-spy saw nothing of {member}; its words are in {folder / member}.log")


def read(folder: Path) -> dict[str, Tops]:
    """What was seen, by member."""
    return {
        file.stem: tops(file.read_text(encoding="utf-8", errors="replace")) for file in sorted(folder.glob("*.folded"))
    }


def tops(folded: str) -> Tops:
    """Sum folded stacks.  Pure."""
    functions: Counter[str] = Counter()
    rooms: Counter[str] = Counter()
    looks = 0
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        looks += int(count)
        functions[_function(frames[-1])] += int(count)
        rooms[_room(frames)] += int(count)
    return Tops(looks=looks, functions=_shares(functions, looks, TOP), rooms=_shares(rooms, looks, None))


def _shares(counted: Counter[str], looks: int, most: int | None) -> tuple[tuple[str, float], ...]:
    return tuple((name, round(count / looks, 4)) for name, count in counted.most_common(most))


def _function(frame: str) -> str:
    found = _FRAME.match(frame)
    return frame if found is None else f"{found['function']} ({_shortened(found['file'])})"


def _room(frames: list[str]) -> str:
    """The innermost module of ours; where only the worker's own beginning is ours, the library that it is in."""
    for frame in reversed(frames):
        found = _FRAME.match(frame)
        ours = _OURS.search(found["file"]) if found is not None else None
        if ours is not None and ours["room"] not in _BEGINNINGS:
            return ours["room"]
    last = _FRAME.match(frames[-1])
    return frames[-1] if last is None else _shortened(last["file"]).partition("/")[0]


def _shortened(file: str) -> str:
    place = _SITE.search(file)
    return place["path"] if place else file
