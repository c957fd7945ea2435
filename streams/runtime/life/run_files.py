"""What a worker leaves in `data_dir/run` for those who look after it, and how they read it.

`<member>.json`         there while it is ready: pid, role, address of its health; gone when it stops
`<member>.health.json`  there from its start to its end: pid, role, address of its health
`<member>.left`         the pid that left its group for good (scale-in): not to be started again unasked
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from streams.runtime.settings import Settings

_HEALTH = ".health.json"


class Readiness:
    """This process's files."""

    def __init__(self, settings: Settings, *, role: str, member: str) -> None:
        self.role = role
        self.member = member
        self._folder = settings.data_dir / "run"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._ready = self._folder / f"{member}.json"
        self._health = self._folder / f"{member}{_HEALTH}"
        self._url: str | None = None
        self._left = _left(settings, member)

    def started(self, url: str) -> None:
        """Tell where this process answers for its health; what a former one left is not true any more."""
        self._url = url
        self.withdraw()
        self._left.unlink(missing_ok=True)
        self._write(self._health, {})

    def announce(self) -> None:
        """Say that this process is ready."""
        self._write(self._ready, {"ready": True})

    def withdraw(self) -> None:
        """Take it back."""
        self._ready.unlink(missing_ok=True)

    def ended(self, *, left: bool) -> None:
        """Nothing runs here any more, and `left`: it was asked to leave for good."""
        self.withdraw()
        self._health.unlink(missing_ok=True)
        if left:
            self._left.write_text(str(os.getpid()), encoding="ascii")

    def _write(self, path: Path, more: dict[str, object]) -> None:
        fresh = path.with_suffix(f".{os.getpid()}")
        told = {"pid": os.getpid(), "role": self.role, "health": self._url} | more
        fresh.write_text(json.dumps(told), encoding="utf-8")
        fresh.replace(path)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A worker of this data directory that lives."""

    member: str
    role: str
    pid: int
    health: str


def running(settings: Settings) -> Iterator[Running]:
    """The workers that live, in the order of their names; a file whose process is gone is passed over."""
    for path in sorted((settings.data_dir / "run").glob(f"*{_HEALTH}")):
        try:
            told = json.loads(path.read_bytes())
            found = Running(
                member=path.name.removesuffix(_HEALTH),
                role=str(told["role"]),
                pid=int(told["pid"]),
                health=str(told["health"]),
            )
        except (OSError, ValueError, KeyError, TypeError):  # it ended, or is being written, this moment
            continue
        if psutil.pid_exists(found.pid):
            yield found


def has_left(settings: Settings, member: str, pid: int) -> bool:
    """Whether the process with this pid, which has ended, left its group for good."""
    try:
        return _left(settings, member).read_text(encoding="ascii") == str(pid)
    except OSError:
        return False


def _left(settings: Settings, member: str) -> Path:
    return settings.data_dir / "run" / f"{member}.left"
