"""A worker answers from its first second on: before its cluster does, its name is free, and its views are read.

1. `begun` serves health, and tells its address in `run`, as soon as the name is held on this machine.
2. Each step says what it waits for (`waits_for`), and /readyz tells that.  A step may block the event loop, so the loop
   can say nothing of the worker yet: it is alive as long as its steps get on.  Each has a limit of its own.
3. Who is told to leave for good (scale-in) has nothing to give back yet: it ends at once.
4. `Vigil` takes the answers over.  From then on it is the loop that is seen.

A process is one worker and has one address for its health: so the one `Beginning` is found here, and is not handed
through the constructor of each role.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NoReturn

import structlog

from streams.runtime import metrics
from streams.runtime.life.health import HealthServer
from streams.runtime.life.run_files import Readiness
from streams.runtime.life.stopping import SCALE_IN_SIGNAL
from streams.runtime.life.vitals import Condition, Look
from streams.runtime.settings import Settings

log = structlog.get_logger(__name__)

# A step that tells nothing new for so long (s) stands still: a start waits 300 s for a cluster, 60 s for a view that
# does not get on, and ClickHouse's client as long as 300 s for an answer.
STANDS_S: Final = 600.0

_OURS: ContextVar["Beginning | None"] = ContextVar("beginning", default=None)


class Beginning:
    """What is seen of a worker until its event loop shows itself.  Raises HealthPortError."""

    def __init__(self, settings: Settings, files: Readiness, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.files = files
        self._clock = clock
        self.waits_for("program", lambda: "is being loaded")
        self.server = HealthServer(settings.worker, self, role=files.role, member=files.member)

    def start(self) -> None:
        """Answer, and tell where."""
        self.server.start()
        self.files.started(self.server.url)
        metrics.WORKER.labels(role=self.files.role, member=self.files.member, version=_version()).set(1)
        log.info("health", url=self.server.url)

    def leave(self) -> NoReturn:
        """End this process, not to be started again unasked."""
        log.info("stopped while starting", how="scale-in")
        self.files.ended(left=True)
        os._exit(0)

    def waits_for(self, name: str, detail: Callable[[], str]) -> None:
        """The start has come to this step; `detail` is asked from other threads, and tells how far the step is."""
        self._name, self._detail = name, detail
        self._heard = "", self._clock()

    @property
    def last(self) -> Look:
        """What is waited for."""
        waits = Condition(name=self._name, ok=False, detail=self._detail())
        return Look(at=self._clock(), conditions=(waits,))

    def runs(self) -> Condition:
        """Whether the start gets on."""
        now, told = self._clock(), self._detail()
        before, since = self._heard
        if told != before:
            self._heard = told, now
            since = now
        ok = now - since < STANDS_S
        return Condition(name="start", ok=ok, detail="the start gets on" if ok else f"the start stands still: {told}")


@contextlib.contextmanager
def begun(settings: Settings, *, role: str, member: str) -> Iterator[None]:
    """Answer for this process from here on.  Raises HealthPortError."""
    beginning = Beginning(settings, Readiness(settings, role=role, member=member))
    beginning.start()
    signal.signal(SCALE_IN_SIGNAL, lambda *_: beginning.leave())
    token = _OURS.set(beginning)
    try:
        yield
    finally:
        _OURS.reset(token)
        beginning.server.stop()
        beginning.files.ended(left=False)


def of_this_process() -> Beginning | None:
    """The beginning under way, if this process was begun so."""
    return _OURS.get()


def waits_for(name: str, detail: Callable[[], str]) -> None:
    """Tell what this process's start waits for."""
    beginning = of_this_process()
    if beginning is not None:
        beginning.waits_for(name, detail)


def _version() -> str:
    try:
        return version("evenpost")
    except PackageNotFoundError:  # an image copies the packages without their metadata
        return "unknown"
