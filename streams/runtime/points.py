"""Points at which a process kills itself, for whoever proves what a crash there leaves behind; production passes by.

`EVENPOST_KILL_AT=after-dot:3` makes the process that finds it in its environment SIGKILL itself the third time it gets
to `after-dot`.  Unset, `Points.from_environment` is None, and each point costs one `is not None`.

A send's points, in the order in which it gets to them:

1. `before-intent`: it has an open connection, no intent was handed over, and nothing of it was said.
2. `after-mail`: the receiver's 354 is read; the intent was handed over with MAIL, and may be durable or not.
3. `after-intent`: the intent is durable and nothing has spoken against the dot; no byte of the message has left.
4. `mid-body`: half of the message has left this process, the receiver waits for the rest.
5. `after-dot`: all of it has left, the reply is unread.
6. `after-250`: the reply is read and nobody was told of it.
7. `after-outcome`: the outcome is in the journal, its effects are not committed.

`after-mail` stands before `after-intent`, as the intent is awaited when there is a 354: an answer from the broker
within a millisecond is waited for while the receiver takes tens of them.  The warehouse has `mid-insert`: ClickHouse is
at work on a block.

The last word of a process that dies at a send's point names that send.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal, NoReturn, Self, TypeVar, get_args

import structlog

__all__ = ["KILL_ENV", "Point", "Points"]

log = structlog.get_logger(__name__)

Point = Literal[
    "before-intent",
    "after-intent",
    "after-mail",
    "mid-body",
    "after-dot",
    "after-250",
    "after-outcome",
    "mid-insert",
]
KILL_ENV: Final = "EVENPOST_KILL_AT"
# Work of an unknown length is taken to last so long (s): an insert of a few rows takes 10 to 50 ms.
FIRST_GUESS_S: Final = 0.02

Done = TypeVar("Done")


class Points:
    """The one point at which this process dies.  Safe to ask from any thread, as one asks about one point."""

    def __init__(self, point: Point, *, nth: int = 1) -> None:
        self._point = point
        self._left = nth
        self._lasts_s = FIRST_GUESS_S

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """What `EVENPOST_KILL_AT` says; None where it is unset.  Raises ValueError for what names no point."""
        text = environment.get(KILL_ENV)
        if not text:
            return None
        name, _, count = text.partition(":")
        nth = int(count or 1) if (count or "1").isdecimal() else 0
        for point in get_args(Point):
            if point == name and nth > 0:
                return cls(point, nth=nth)
        raise ValueError(
            f"{KILL_ENV}={text!r} names no point to die at: unset it, or make it POINT or POINT:N, the Nth time from 1 "
            f"and POINT one of {', '.join(get_args(Point))}"
        )

    def is_due(self, point: Point) -> bool:
        """Count a time at the point; whether it is the one to `strike` at."""
        if point != self._point:
            return False
        self._left -= 1
        return self._left == 0

    def reach(self, point: Point, *, send_id: str) -> None:
        """Come to a send's point, and no further when it is due."""
        if self.is_due(point):
            self.strike(send_id=send_id)

    def strike(self, **whose: str) -> NoReturn:
        """End this process as a power cut would: no handler, no buffer, no goodbye; `whose` point it was is said."""
        log.warning("kills itself", point=self._point, **whose)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("a process survived its SIGKILL")

    def amid(self, point: Point, work: Callable[[], Done]) -> Done:
        """Do blocking work, and die in the middle of it when that is due.

        The middle is half of what the last such work took, by a thread's clock.  Work that is over sooner is no middle:
        then the next one is due.
        """
        due = self.is_due(point)
        began = time.monotonic()
        timer = threading.Timer(self._lasts_s / 2, self.strike)
        timer.daemon = True
        if due:
            timer.start()
        try:
            return work()
        finally:
            timer.cancel()
            if point == self._point:
                self._lasts_s = time.monotonic() - began
                self._left += due
