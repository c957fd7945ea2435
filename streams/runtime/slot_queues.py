"""What waits in each slot's queue, and how much of it was ever done: asked of the cluster from aside.

1. The sender's group says of each slot how far its lanes are (streams.delivery.lane_note), the broker where marketing's
   ends: what waits is what lies between, and what is open.  Offsets count the gates' commit markers as well, at most
   one for each send and few under load: a queue looks longer than it is, and so does what it drains.
2. Where all is done, markers are left behind the last send: a lane that does not move, with something behind it, is
   looked into once.  Where there is nothing to read, that part of it counts no more.

Blocking: call it from a thread, one at a time.
"""

from collections.abc import Iterable, Mapping

from schemas import topics
from streams.delivery.lane_note import LaneNote
from streams.runtime.observer import Observer, Place
from streams.runtime.partition.group_offsets import Committed
from streams.runtime.settings import Settings
from streams.spread.window import Queue


class SlotQueues:
    """The marketing queues of a deployment's slots."""

    def __init__(self, settings: Settings) -> None:
        self._observer = Observer(settings.kafka, f"{settings.kafka.prefix}sender")
        self._marketing = settings.topic(topics.SENDS_MARKETING.name)
        self._transactional = settings.topic(topics.SENDS_TRANSACTIONAL.name)
        # By slot: up to where its lane holds nothing behind what was begun; from where it is known to hold something.
        self._nothing_before: dict[int, int] = {}
        self._something_at: dict[int, int] = {}
        self._reached: dict[int, tuple[int, int]] = {}

    def read(self, slots: Iterable[int]) -> dict[int, Queue]:
        """Each slot's queue now.  Raises ClusterUnreachableError."""
        asked = sorted(slots)
        if not asked:
            return {}
        marketing = [(self._marketing, slot) for slot in asked]
        committed = self._observer.noted([*marketing, *((self._transactional, slot) for slot in asked)])
        ends = self._observer.ends(marketing, "high")
        reached = {slot: (_begun(committed[place]), ends[place]) for place in marketing for slot in (place[1],)}
        self._look_into(reached)
        return {slot: self._queue(slot, committed, ends[self._marketing, slot]) for slot in asked}

    def close(self) -> None:
        """Close its clients."""
        self._observer.close()

    def _look_into(self, reached: Mapping[int, tuple[int, int]]) -> None:
        """Find out whether lanes that did not move since the last reading hold anything to read."""
        still = {
            (self._marketing, slot): begun
            for slot, (begun, end) in reached.items()
            if self._reached.get(slot) == (begun, end)
            and end > max(begun, self._nothing_before.get(slot, 0))
            and self._something_at.get(slot) != begun
        }
        self._reached = dict(reached)
        for (_, slot), end in self._observer.empty_until(still).items():
            if end is None:
                self._something_at[slot] = still[self._marketing, slot]
            else:
                self._nothing_before[slot] = end

    def _queue(self, slot: int, committed: Mapping[Place, Committed], end: int) -> Queue:
        lane = committed[self._marketing, slot]
        begun, note = _begun(lane), LaneNote.read(lane.metadata)
        still_open = (note.open if note is not None else None) or 0
        behind = max(0, end - max(begun, self._nothing_before.get(slot, 0)))
        return Queue(
            done=begun - still_open,
            waiting=behind + still_open,
            mark=(lane, committed[self._transactional, slot]),
            in_hand=still_open,
        )


def _begun(lane: Committed) -> int:
    """The first offset that was not begun."""
    note = LaneNote.read(lane.metadata)
    return lane.offset if note is None or note.begun is None else max(lane.offset, note.begun)
