"""The processes of a chaos run: one broker and some workers, each started, stopped and ended by its own pid.

What ends unasked is noted and started again after a moment, as a supervisor of services would; what was ended on
purpose comes back only when told to.  A worker is named KIND-NUMBER, as the product names its own.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from streams.operate.errors import UnknownThingError
from streams.operate.settings_tree import environment
from streams.operate.up import GRACE_S
from streams.runtime.children import Child, spawn
from streams.runtime.cluster import with_bootstrap
from streams.runtime.embedded import EmbeddedError, EmbeddedKafka
from streams.runtime.life.stopping import SCALE_IN_SIGNAL
from streams.runtime.settings import Settings
from streams.runtime.topic_admin import apply_topics

# Seconds until a worker that ended unasked is started again, and between two looks.
AGAIN_S: Final = 0.5
LOOK_S: Final = 0.1
# A broker that did not come up within its limit is tried again: a machine with other work must not end the run.
BROKER_TRIES: Final = 3

Say = Callable[[str], None]
Program = Callable[[str], Sequence[str]]


class Crew:
    """A context manager that starts broker and workers, and leaves nothing behind."""

    def __init__(self, settings: Settings, *, members: Sequence[str], program: Program, say: Say) -> None:
        """`members` by name; `program` says what runs the member of a name."""
        self.settings = settings
        self.unasked: list[str] = []
        self._members = members
        self._program = program
        self._say = say
        self._broker: EmbeddedKafka | None = None
        self._port: int | None = None
        self._children: dict[str, Child] = {}
        self._away: set[str] = set()
        self._due: dict[str, float] = {}
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="crew", daemon=True)

    def start(self) -> None:
        """Broker, topics, workers.  Raises EmbeddedError or RuntimeFault, with nothing left running."""
        try:
            self.start_broker()
            apply_topics(self.settings)
            for name in self._members:
                self.spawn(name)
            self._watcher.start()
        except BaseException:
            self.stop()
            raise

    # ── the broker ───────────────────────────────────────────────────────────────────────────────────────────────────

    def start_broker(self) -> None:
        """On the port it had: the workers know no other."""
        broker = EmbeddedKafka(self.settings.data_dir, port=self._port)
        for tried in range(1, BROKER_TRIES + 1):
            try:
                self.settings = with_bootstrap(self.settings, broker.start())
                break
            except EmbeddedError:
                if tried == BROKER_TRIES:
                    raise
        self._port = int(str(self.settings.kafka.bootstrap).rpartition(":")[2])
        self._broker = broker

    def stop_broker(self) -> None:
        """In order."""
        if self._broker is not None:
            self._broker.stop()

    def kill_broker(self) -> None:
        """As a crash would."""
        if self._broker is not None:
            self._broker.kill()

    # ── the workers ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def running(self) -> list[str]:
        """The members that are there and not on purpose away."""
        with self._lock:
            return sorted(name for name, child in self._children.items() if child.alive and name not in self._away)

    def of_kind(self, kind: str) -> list[str]:
        """Of those, the ones of a kind."""
        return [name for name in self.running if name.rpartition("-")[0] == kind]

    def ready(self) -> bool:
        """Whether each worker said that all it was given is recovered."""
        names = self.running
        return bool(names) and all((self.settings.data_dir / "run" / f"{name}.json").exists() for name in names)

    def add(self, kind: str) -> str:
        """One worker more of a kind, by the lowest name that is free: it finds what a removed one left on its disk."""
        with self._lock:
            names = (f"{kind}-{number}" for number in range(len(self._children) + 1))
            name = next(name for name in names if name not in self._children)
            self.spawn(name)
            return name

    def spawn(self, name: str) -> None:
        """Start a worker, or start it again."""
        with self._lock:
            (self.settings.data_dir / "logs").mkdir(parents=True, exist_ok=True)
            self._children[name] = spawn(
                self._program(name),
                log_file=self.log_file(name),
                env=environment(self.settings),
                name=name,
                grace_s=GRACE_S,
            )
            self._away.discard(name)
            self._due.pop(name, None)

    def pid(self, name: str) -> int:
        """The worker's process, the last one it had."""
        return self._child(name).pid

    def expect_end(self, name: str) -> None:
        """The worker will end by itself, as it was told to; then it stays away until it is started."""
        with self._lock:
            self._away.add(name)

    def returncode(self, name: str) -> int | None:
        """None while the worker lives, its exit code, or minus the signal that ended it."""
        return self._child(name).returncode

    def kill(self, name: str) -> None:
        """SIGKILL; it stays away until it is started."""
        self._end(name, signal.SIGKILL)

    def terminate(self, name: str) -> int:
        """SIGTERM and the end it makes; it stays away until it is started.  Returns its exit code."""
        return self._end(name, signal.SIGTERM)

    def remove(self, name: str) -> int:
        """Scale-in: it leaves the group, and there is no more of it.  Returns its exit code."""
        code = self._end(name, SCALE_IN_SIGNAL)
        with self._lock:
            del self._children[name]
            self._away.discard(name)
        return code

    def freeze(self, name: str) -> None:
        """SIGSTOP."""
        self._child(name).signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self._child(name).signal(signal.SIGCONT)

    def frozen(self, name: str) -> bool:
        """Whether the process is stopped."""
        with contextlib.suppress(psutil.Error):
            return bool(psutil.Process(self._child(name).pid).status() == psutil.STATUS_STOPPED)
        return False

    def log_file(self, name: str) -> Path:
        """Where a worker's words go."""
        return self.settings.data_dir / "logs" / f"{name}.log"

    def _end(self, name: str, sign: signal.Signals) -> int:
        child = self._child(name)
        with self._lock:
            self._away.add(name)
        child.signal(sign)
        try:
            return child.wait(GRACE_S)
        except TimeoutError:
            self.unasked.append(f"{name} did not end within {GRACE_S:.0f} s of {sign.name}")
            return child.kill()

    def _child(self, name: str) -> Child:
        with self._lock:
            try:
                return self._children[name]
            except KeyError:
                raise UnknownThingError(f"no worker {name!r}: there are {', '.join(self._children)}") from None

    def _watch(self) -> None:
        while not self._ending.wait(LOOK_S):
            with self._lock:
                for name, child in list(self._children.items()):
                    if name not in self._away and not child.alive:
                        self._look_after(name, child)

    def _look_after(self, name: str, child: Child) -> None:
        if name not in self._due:
            words = f"{name} ended unasked with {child.returncode}"
            self.unasked.append(words)
            self._say(f"{words}; starting it again")
            self._due[name] = time.monotonic() + AGAIN_S
        elif time.monotonic() >= self._due[name]:
            self.spawn(name)

    def stop(self) -> None:
        """End the workers, then the broker."""
        self._ending.set()
        if self._watcher.ident is not None:
            self._watcher.join()
        for child in self._children.values():
            child.signal(signal.SIGCONT)
            child.begin_stop(GRACE_S)
        for child in self._children.values():
            child.stop(GRACE_S)
        if self._broker is not None:
            self._broker.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
