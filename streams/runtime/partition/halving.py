"""Find the event whose record no broker takes: a batch that is refused is decided by halves.

Pure.  A batch of n that is refused for one of its records is tried again in batches of n/2, and so on, until the n
events have gone through or one event alone is refused.  That one is the reason: it is rejected, and where its rejection
is refused too, buried.  Meanwhile nothing is released from what waits, since that could be the reason as well.  Where
nothing but what was released is refused, less and less of it is tried; one alone that is refused waits HOLD_S longer.
"""

from collections.abc import Sequence
from typing import Any, Final

import structlog

from streams.runtime.dead_letters import Failure
from streams.runtime.errors import RecordRefusedError
from streams.runtime.partition.deciding import Refused

log = structlog.get_logger(__name__)

# A release that is refused is a defect of the role's; the partition's events go on meanwhile.
HOLD_S: Final = 60.0


class Halving:
    """How much one partition takes at a time."""

    def __init__(self, *, batch: int, release: int) -> None:
        """`batch` events and `release` from what waits, where nothing is wrong."""
        self._whole, self._all = batch, release
        self.batch = batch
        self._release = release
        self._suspects = 0
        self._held_until = 0.0
        self.refused: Refused | None = None

    def release(self, now: float) -> int:
        """How much of what waits may be decided now (monotonic seconds)."""
        return 0 if self._suspects or now < self._held_until else self._release

    def went(self, events: int) -> None:
        """A batch was committed."""
        self.refused = None
        self._suspects = max(0, self._suspects - events)
        if not self._suspects:
            self.batch = self._whole
        if not events:
            self._release = min(self._all, self._release * 2)

    def halve(self, batch: Sequence[Any], error: RecordRefusedError, *, released: int, now: float) -> None:
        """A batch was refused.  Raises the error where not even a burial goes through."""
        if not batch:
            self._release = max(1, released // 2)
            if released <= 1:
                log.error("what waits first is refused by the broker; nothing is released for a while", hold_s=HOLD_S)
                self._held_until = now + HOLD_S
            return
        self._suspects = max(self._suspects, len(batch))
        if len(batch) > 1 or released:
            self.batch = max(1, len(batch) // 2)
            return
        if self.refused is None or self.refused.message is not batch[0]:
            self.refused = Refused(message=batch[0], failure=Failure(error=error, tries=1))
        elif self.refused.end == "rejected":
            self.refused.end = "buried"
        else:
            raise error
