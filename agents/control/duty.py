"""What a duty of CONTROL looks like, and its rounds: each duty in a task of its own while this worker is active.

1. While this worker is the active one, a duty takes a turn each `every_s`.  None waits for another's: a campaign of
   2 MB compiles for seconds, and leases expire in four.
2. A turn that raises is logged and counted, and the next one tries again: one duty's defect stops no other's (G8).
   What no time mends (RuntimeFault) ends the worker.
3. When another worker has become the active one, `stand_by` is called once.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Protocol, Self

import structlog

from streams.runtime.errors import RuntimeFault
from streams.runtime.metrics import DUTY_FAILURES

log = structlog.get_logger(__name__)

# How soon (s) a duty that stands by looks whether it is active now.
LOOK_S: Final = 0.2


class Duty(Protocol):
    """One thing that CONTROL does.  Made once; called from one task of the event loop.

    A turn must bear that a former active worker's last one ends late, beside its successor's: what is published says
    when it was made, is whole (no difference to what was before), and does no harm twice.
    """

    @property
    def name(self) -> str:
        """One word, for logs and metrics."""

    @property
    def every_s(self) -> float:
        """Seconds from the begin of a turn to the begin of the next."""

    async def turn(self, now: datetime) -> None:
        """Do what is due.  Nothing in it may block the loop for longer than some 10 ms (asyncio.to_thread)."""

    async def stand_by(self) -> None:
        """Another worker is active: let go of what only the active one holds, and rest on nothing remembered."""


class Rounds:
    """Runs duties: a context manager within a running loop."""

    def __init__(self, duties: Sequence[Duty], *, active: Callable[[], bool]) -> None:
        self._duties = duties
        self._active = active
        self._tasks: list[asyncio.Task[None]] = []
        self._moved: set[str] = set()
        # Rises once each duty has taken a turn, or stood by, since it rose: what the watchdog sees (vitals.turns).
        self.count = 0

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._serve(duty), name=f"duty-{duty.name}") for duty in self._duties]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check(self) -> None:
        """Raise what ended a duty for good."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def _serve(self, duty: Duty) -> None:
        loop = asyncio.get_running_loop()
        stands_by = True
        due = loop.time()
        while True:
            if self._active():
                stands_by = False
                await self._turn(duty)
                due = max(due + duty.every_s, loop.time())
            else:
                if not stands_by:
                    stands_by = True
                    await duty.stand_by()
                due = loop.time() + LOOK_S
            self._move(duty)
            await asyncio.sleep(due - loop.time())

    async def _turn(self, duty: Duty) -> None:
        try:
            await duty.turn(datetime.now(UTC))
        except RuntimeFault:
            raise
        except Exception:
            DUTY_FAILURES.labels(duty.name).inc()
            log.exception("a duty's turn failed, the next one tries again", duty=duty.name)

    def _move(self, duty: Duty) -> None:
        self._moved.add(duty.name)
        if len(self._moved) == len(self._duties):
            self._moved.clear()
            self.count += 1
