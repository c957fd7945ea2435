"""What librdkafka says, as lines of our log: at a level that fits, and once for each state.

librdkafka tells of each connection that fails, of each of its clients, and a worker has one or two for each partition:
a broker that restarts makes hundreds of lines on stderr.

1. A failed connection is no error: librdkafka tries again, and what fails because of it is told by whoever asked.  So
   it is a line of level info; for anything else librdkafka's own level holds.
2. The same words, whichever client says them and however often, are one state, and told once; again when they were not
   heard for STATE_S.

A client's lines wait until it is polled (`log.queue`), so they may come late.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)

# While a broker is away librdkafka tries each 10 s at least, and tells of the same failure each 30 s.
STATE_S: Final = 120.0
# Which states are remembered; a cluster of a hundred brokers fails in fewer ways at once.
STATES: Final = 1_000
# librdkafka's facilities for a connection that fails or is closed, and a request that had no answer in time.
_CONNECTION: Final = frozenset({"FAIL", "REQTMOUT", "TRMETADATA"})
# Its thread and its name for the connection before the words, how long and how often behind them.
_AROUND: Final = re.compile(r"^\[thrd:[^\]]*\]: (?:\S+: )?|\s*\(after \d+ms.*\)$")


class ClientLog:
    """Stands where confluent-kafka wants a logger; called from any thread that polls a client."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: dict[tuple[str, str], float] = {}

    def log(self, level: int, words: str, *said: Any) -> None:
        """Tell it, if it is new: `said` is the facility, the client's name, and the line."""
        del words
        facility, client, line = said
        state = facility, _AROUND.sub("", line)
        if self._is_new(state):
            fits = logging.INFO if facility in _CONNECTION else level
            if structlog.is_configured():  # else a command runs: its user is told by errors, and stdout is its answer's
                log.log(fits, "kafka client", client=client, facility=facility, said=state[1])

    def _is_new(self, state: tuple[str, str]) -> bool:
        now = self._clock()
        with self._lock:
            before = self._heard.pop(state, None)
            self._heard[state] = now  # the latest is the last
            if len(self._heard) > STATES:
                del self._heard[next(iter(self._heard))]
        return before is None or now - before >= STATE_S


# One for the process: many clients tell of the same broker.
CLIENT_LOG: Final = ClientLog()
