"""The watch over one worker while it serves: its pulse, its answers over HTTP, its watchdog and its files in `run`."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, Self

import structlog

from streams.runtime.errors import MemberTakenError
from streams.runtime.life import beginning, member_name
from streams.runtime.life.asking import cluster_answers
from streams.runtime.life.run_files import Readiness
from streams.runtime.life.vitals import Pulse, Vitals
from streams.runtime.life.watchdog import LOOP_PATIENCE_S, Watchdog
from streams.runtime.settings import Settings

log = structlog.get_logger(__name__)

READY_POLL_S: Final = 0.1


class Vigil:
    """A context manager within a running loop.

    It takes over the answers of a process that was `begun`; else it begins them, and raises HealthPortError where the
    address can't be had.
    """

    def __init__(self, settings: Settings, readiness: Readiness, vitals: Vitals) -> None:
        self._settings = settings
        self._pulse = Pulse(vitals)
        self._begun = beginning.of_this_process()
        self._beginning = self._begun or beginning.Beginning(settings, readiness)
        self._readiness = self._beginning.files
        self._server = self._beginning.server
        loop_patience_s = min(LOOP_PATIENCE_S, settings.worker.stalled_s or LOOP_PATIENCE_S)
        group = f"{settings.kafka.prefix}{readiness.role}"
        self._watchdog = Watchdog(
            self._pulse,
            answers=partial(cluster_answers, settings.kafka, group),
            loop_patience_s=loop_patience_s,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._left = False

    async def __aenter__(self) -> Self:
        if self._begun is None:
            self._beginning.start()
        self._pulse.look()
        self._server.show(self._pulse)
        self._tasks.append(asyncio.create_task(self._pulse.run(), name="pulse"))
        self._watchdog.start()
        return self

    def announce_when(self, is_ready: Callable[[], bool]) -> None:
        """Say that the worker is ready, once it is."""
        self._tasks.append(asyncio.create_task(self._announce(is_ready), name="announce"))

    async def _announce(self, is_ready: Callable[[], bool]) -> None:
        while not is_ready():  # noqa: ASYNC110  # what makes it ready happens in threads and foreign services
            await asyncio.sleep(READY_POLL_S)
        self._readiness.announce()
        log.info("ready", health=self._server.url)

    def ending(self, *, leaves: bool) -> None:
        """The worker stops: not ready any more; `leaves` says that it is not to be started again unasked."""
        self._left = leaves
        for task in self._tasks[1:]:
            task.cancel()
        self._readiness.withdraw()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.stop()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(self._server.stop)
        self._readiness.ended(left=self._left and kind is None)
        if isinstance(error, MemberTakenError):
            member_name.was_taken(self._settings, self._readiness.member)
