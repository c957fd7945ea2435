"""Which source offsets are done: a contiguous-prefix watermark per partition (FAUST.md 1).

An event is `taken` when an agent picks it up and `done` when what it caused is durable.  Kafka delivers a
partition in order, so the first taken event that is not done is where a restart must begin.  Gaps (compaction,
aborted transactions, commit markers) need no care: offsets nobody was given are not waited for.
"""

from collections import deque
from typing import NamedTuple


class TopicPartition(NamedTuple):
    """A partition, by its topic's full name."""

    topic: str
    partition: int


class _Track:
    """One partition's events in the order taken, and those of them that are done."""

    __slots__ = ("committed", "done", "next", "taken")

    def __init__(self) -> None:
        self.taken: deque[int] = deque()
        self.done: set[int] = set()
        self.next: int | None = None
        self.committed: int | None = None


class Ledger:
    """Taken and done offsets of the partitions that this worker owns."""

    def __init__(self) -> None:
        self._tracks: dict[TopicPartition, _Track] = {}

    def take(self, topic: str, partition: int, offset: int) -> None:
        """Note that an agent picked this event up."""
        self._tracks.setdefault(TopicPartition(topic, partition), _Track()).taken.append(offset)

    def done(self, topic: str, partition: int, offset: int) -> None:
        """Note that all this event caused is durable; of a partition that was given up, it is ignored."""
        track = self._tracks.get(TopicPartition(topic, partition))
        if track is None:
            return
        track.done.add(offset)
        while track.taken and track.taken[0] in track.done:
            finished = track.taken.popleft()
            track.done.discard(finished)
            track.next = finished + 1

    def committable(self) -> dict[TopicPartition, int]:
        """The offset to commit of each partition where it moved since the last commit that succeeded."""
        return {
            tp: track.next
            for tp, track in self._tracks.items()
            if track.next is not None and track.next != track.committed
        }

    def committed(self, offsets: dict[TopicPartition, int]) -> None:
        """Note a commit that succeeded; one that failed is not noted and so is tried again (FAUST.md 3)."""
        for tp, offset in offsets.items():
            if tp in self._tracks:
                self._tracks[tp].committed = offset

    def first_open(self, topic: str, partition: int) -> int | None:
        """The first offset of the partition that was taken and is not done, if any."""
        track = self._tracks.get(TopicPartition(topic, partition))
        return track.taken[0] if track and track.taken else None

    def drop(self) -> None:
        """Forget everything: partitions were revoked, and what is left open belongs to the next owner."""
        self._tracks.clear()
