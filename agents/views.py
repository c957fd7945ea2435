"""A role's view of the world, ready before the role works."""

from collections.abc import Callable, Sequence

from schemas import topics as declared
from schemas.topics import Topic
from streams.runtime.life.beginning import waits_for
from streams.runtime.settings import Settings
from streams.runtime.state.local_state import state_path
from streams.runtime.state.replication import Replication
from streams.runtime.state.suppression_disk import SuppressionsOnDisk
from streams.views import BadRecordError, World


def replicate(
    settings: Settings,
    member: str,
    topics: Sequence[Topic],
    *,
    on_bad: Callable[[BadRecordError], None] | None = None,
) -> tuple[World, Replication]:
    """A world read to its end, and the reader that keeps it current; the suppressions, where asked for, are on disk.

    Raises ViewError where the topics can't be read, StoreLockedError where a former process of this name does not end.
    """
    kept: dict[str, SuppressionsOnDisk] = {}
    if declared.SUPPRESSIONS in topics:
        waits_for("views", lambda: "the suppressions on disk are being opened")
        path = state_path(settings, member, declared.SUPPRESSIONS.name)
        kept[declared.SUPPRESSIONS.name] = SuppressionsOnDisk(path)
    world = World(suppressions=kept.get(declared.SUPPRESSIONS.name), slots=settings.kafka.slots)
    replication = Replication(settings, world, topics, client_id=f"evenpost-{member}", kept=kept, on_bad=on_bad)
    waits_for("views", lambda: f"being read: {replication.records:,} records so far")
    replication.start()
    replication.catch_up()
    return world, replication
