"""What the active owner has from taking over until it stands by: its reader, its counts, and what it has yet to say."""

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from schemas.events import Incident, Volume
from streams.control.firing import Firing
from streams.control.watch import Watch
from streams.runtime.following import Following

# How long one read waits for a first record, and for how long a turn reads on while there is more.
READ_S: Final = 0.2
TURN_S: Final = 1.0


@dataclass(kw_only=True)
class Counting:
    """One reign.

    `firings`, `incidents` and `volumes` wait to be written, `withdrawn` are keys of volumes to be removed.
    """

    watch: Watch
    reader: Following
    taken_at: datetime
    firings: deque[Firing] = field(default_factory=deque)
    incidents: deque[Incident] = field(default_factory=deque)
    volumes: dict[str, Volume] = field(default_factory=dict)
    withdrawn: deque[str] = field(default_factory=deque)
    looked_at: float = 0.0
    published_at: float = 0.0

    def read(self) -> int:
        """Take what came; how many deliveries that were.  Blocking: call it from a thread."""
        until = time.monotonic() + TURN_S
        taken = 0
        while messages := self.reader.read(READ_S):
            for message in messages:
                _, at_ms = message.timestamp()
                self.firings += self.watch.take(message.value(), at_ms / 1000)
            taken += len(messages)
            if time.monotonic() > until:
                break
        return taken
