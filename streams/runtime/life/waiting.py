"""How long a start waits for a cluster that does not answer, and how often it says so."""

import time
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

# Five minutes outlive a broker's restart with recovery of its log; who supervises us starts us again after that.
LIMIT_S: Final = 300.0
# Seconds between two lines in the log about the same wait.
SAY_EVERY_S: Final = 10.0


class Waiting:
    """Says now and then that we wait, and until when we do."""

    def __init__(self, limit_s: float = LIMIT_S, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._began = clock()
        self._said: float | None = None

    def lost(self, error: Exception) -> bool:
        """Note another try in vain; whether that was the last."""
        now = self._clock()
        if now - self._began >= self._limit_s:
            return True
        if self._said is None or now - self._said >= SAY_EVERY_S:
            self._said = now
            waited = round(now - self._began)
            log.warning("waiting for the cluster", waited_s=waited, limit_s=round(self._limit_s), error=str(error))
        return False
