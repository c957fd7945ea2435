"""What processes used, by the operating system's own count: CPU seconds, their threads' part of it, peak memory.

A process counts with all its children, those that ended as well.  Threads are told apart by their names: Python's have
the process's, librdkafka's and RocksDB's name themselves (`rdk:main`, `rdk:broker1`, `rocksdb:low`), and numbers in a
name count for nothing.  A thread that ended is in the process's seconds alone.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import psutil

_KB_PER_MB: Final = 1024
_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_NUMBER: Final = re.compile(r"[-_ ]?\d+")


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What one role used by now, in CPU seconds: all of it, and by the names of threads that live."""

    cpu_s: float = 0.0
    threads: Mapping[str, float] = msgspec.field(default_factory=dict)

    def since(self, before: "Used") -> "Used":
        """What came between."""
        threads = {name: spent - before.threads.get(name, 0.0) for name, spent in self.threads.items()}
        return Used(cpu_s=self.cpu_s - before.cpu_s, threads=threads)

    def __add__(self, other: "Used") -> "Used":
        """Of both together."""
        names = [*self.threads, *(name for name in other.threads if name not in self.threads)]
        threads = {name: self.threads.get(name, 0.0) + other.threads.get(name, 0.0) for name in names}
        return Used(cpu_s=self.cpu_s + other.cpu_s, threads=threads)


def role(member: str) -> str:
    """A member's role: `gate-0` is a gate, `kafka` the broker."""
    return member.rpartition("-")[0] or member


def by_role(pids: Mapping[str, int]) -> dict[str, Used]:
    """What the processes of these members used by now; one that is ending is passed over."""
    found: dict[str, Used] = {}
    for member, pid in pids.items():
        with contextlib.suppress(psutil.Error, OSError):
            found[role(member)] = found.get(role(member), Used()) + of_process(pid)
    return found


def of_process(pid: int) -> Used:
    """Of one process and its children.  Raises psutil.Error where it is gone."""
    own = psutil.Process(pid)
    times = own.cpu_times()
    ended = times.children_user + times.children_system
    alive = [child.cpu_times() for child in own.children(recursive=True)]
    cpu_s = times.user + times.system + ended + sum(one.user + one.system for one in alive)
    threads: dict[str, float] = {}
    for thread in own.threads():
        name = _thread_name(pid, thread.id)
        threads[name] = threads.get(name, 0.0) + thread.user_time + thread.system_time
    return Used(cpu_s=cpu_s, threads=threads)


def peak_mb(pids: Iterable[int]) -> float:
    """The most memory that these processes and their children held, each at its own time, in MB."""
    return sum(_peak_kb(pid) for pid in _all_of(pids)) / _KB_PER_MB


def _all_of(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            yield pid
            yield from (child.pid for child in psutil.Process(pid).children(recursive=True))


def _peak_kb(pid: int) -> int:
    with contextlib.suppress(OSError):
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace"))
        return int(found[1]) if found else 0
    return 0


def _thread_name(pid: int, thread: int) -> str:
    with contextlib.suppress(OSError):
        name = Path(f"/proc/{pid}/task/{thread}/comm").read_text(encoding="utf-8", errors="replace").strip()
        return _NUMBER.sub("", name)
    return "ended"
