"""A role's view of the world, ready before the role works."""

from collections.abc import Callable, Sequence
from typing import Final

from schemas.topics import Topic
from streams.runtime.replication import Replication
from streams.runtime.settings import Settings
from streams.views import BadRecordError, World

# 10 million suppressions take about 30 s (DESIGN.md); a fresh deployment has an empty world at once.
READY_LIMIT_S: Final = 120.0


def replicate(
    settings: Settings,
    member: str,
    topics: Sequence[Topic],
    *,
    on_bad: Callable[[BadRecordError], None] | None = None,
) -> tuple[World, Replication]:
    """A world read to its end, and the reader that keeps it current.  Raises TimeoutError."""
    world = World()
    replication = Replication(settings, world, topics, client_id=f"evenpost-{member}", on_bad=on_bad)
    replication.start()
    if not replication.wait_ready(READY_LIMIT_S):
        raise TimeoutError(f"the compacted topics could not be read to their end within {READY_LIMIT_S:.0f} s")
    return world, replication
