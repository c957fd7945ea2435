"""Where a slot stands: how far each lane is, which intents have no outcome, and what a commit makes of both."""

import contextlib
from datetime import date
from typing import Any

from agents.slot.inbox import Inbox
from agents.slot.shaping import Shaper
from agents.slot.shared import Shared
from agents.slot.under_way import UnderWay
from agents.slot.words import Words
from schemas.events import Checkpoint, Intent
from streams.delivery.journal import Key, Memory
from streams.runtime.partition.outbox import Position


class Standing:
    """One slot's, from the taking of it on.

    `lanes`: by declared topic.  `in_doubt`: intents without an outcome, those that the journal had, and ours.
    """

    def __init__(
        self, slot: int, shared: Shared, memory: Memory, *, inbox: Inbox, under_way: UnderWay, shaper: Shaper
    ) -> None:
        self._slot = slot
        self._words = Words(slot, shared)
        self._topic = shared.settings.topic
        self._inbox = inbox
        self._under_way = under_way
        self._shaper = shaper
        with contextlib.suppress(ValueError):  # a checkpoint without one
            shaper.limits.resume_day(date.fromisoformat(memory.day), memory.today, shaper.now())
        self.lanes = dict(memory.lanes)
        self.in_doubt: dict[Key, Intent] = dict(memory.in_doubt)
        # Events at their end since the last commit, and the dealings that they were.
        self._done: list[tuple[Any, Key | None]] = []

    def positions(self) -> dict[str, int]:
        """Each lane's (full name) offset below which all is done."""
        return {self._topic(lane): book.committable for lane, book in self.lanes.items()}

    def done(self, message: Any, lane: str, key: Key | None) -> None:
        """All that follows from this event is said."""
        self.lanes[lane].done(message.offset)
        self._done.append((message, key))

    def passed_over(self, message: Any, lane: str) -> None:
        """This event was done before."""
        self.lanes[lane].skip(message.offset)
        self._done.append((message, None))

    def position(self) -> Position:
        """What a commit tells; asked for when nothing more goes into the transaction."""
        now = self._shaper.now()
        day, today = self._shaper.limits.today(now)
        checkpoint = Checkpoint(
            slot=self._slot,
            lanes={lane: book.lane() for lane, book in self.lanes.items()},
            open=tuple(self.in_doubt.values()),
            at=now.at,
            day=day.isoformat(),
            today=today,
        )
        covered = len(self._done)

        def committed() -> None:
            done = self._done[:covered]
            del self._done[:covered]
            self._inbox.committed([message for message, _ in done])
            self._under_way.committed(key for _, key in done if key is not None)

        return Position(
            checkpoint=self._words.checkpoint(checkpoint),
            offsets={
                (self._topic(lane), self._slot): book.committable
                for lane, book in self.lanes.items()
                if book.ever  # also where its very first one hangs: the offset names the checkpoint
            },
            notes={(self._topic(lane), self._slot): book.note for lane, book in self.lanes.items()},
            committed=committed,
        )
