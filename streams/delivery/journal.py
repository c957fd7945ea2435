"""What a slot remembers of its sends, in memory and as read back from its journal.  Pure.

Sends of a lane are begun in the order of their offsets, and end in any order.  So a lane needs two words: how far it
was begun, and which of those are open; there are never more open ones than connections.

Who takes a slot reads the journal from the last committed checkpoint on, and finds of each dealing one of two words: an
outcome, which is never taken back and whose effects are redone, or an intent alone, of which nobody knows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from schemas.events import Checkpoint, Intent, Lane, Outcome
from streams.delivery.lane_note import progress_note

Key = tuple[str, int]
Entry = Intent | Outcome | Checkpoint

CHECKPOINT_KEY: Final = b"checkpoint"
# Older than any send that Kafka still holds (7 d, and a day for the segment that it is in): asked for by none.
FORGOTTEN: Final = timedelta(days=8)


class _Kind(msgspec.Struct, frozen=True):
    entry: Literal["intent", "outcome", "checkpoint"] = "outcome"


_kind = msgspec.json.Decoder(_Kind).decode
_decoders: Final[dict[str, Callable[[bytes], Entry]]] = {
    "intent": msgspec.json.Decoder(Intent).decode,
    "outcome": msgspec.json.Decoder(Outcome).decode,
    "checkpoint": msgspec.json.Decoder(Checkpoint).decode,
}


def decode(value: bytes) -> Entry:
    """One record of the journal.  Raises msgspec.MsgspecError."""
    return _decoders[_kind(value).entry](value)


def record_key(entry: Intent | Outcome) -> bytes:
    """The key of a dealing's records."""
    return f"{entry.send_id}:{entry.deal}".encode()


class LaneBook:
    """How far one lane is."""

    def __init__(self, lane: Lane) -> None:
        self._next = lane.next
        self._open = set(lane.open)
        self._ahead = set(lane.ahead)
        # Open ones from before this book: a lane that brings a later event first has lost them (retention).
        self._awaited = sorted(lane.open)

    def is_done(self, offset: int) -> bool:
        """Whether all that follows from the send at this offset is said."""
        return offset in self._ahead or (offset < self._next and offset not in self._open)

    def comes(self, offset: int) -> None:
        """The lane brings this offset, in order: open ones before it that did not come are gone for good."""
        while self._awaited and self._awaited[0] <= offset:
            first = self._awaited.pop(0)
            if first < offset:
                self._open.discard(first)

    def starts(self, offset: int) -> None:
        """The lane is read from this offset on, as the group has it: what is open before it does not come any more.

        A checkpoint is never behind the group's offset, which was committed with it, unless somebody set that one
        forward by hand: those sends are not wanted.
        """
        if offset > self.committable:
            self._open = {one for one in self._open if one >= offset}
            self._awaited = sorted(self._open)
            self._pass(offset - 1)

    def begin(self, offset: int) -> None:
        """The send at this offset is begun; the first time in order."""
        self._open.add(offset)
        self._pass(offset)

    def skip(self, offset: int) -> None:
        """The send at this offset had its turn, and is done already."""
        self._pass(offset)

    def _pass(self, offset: int) -> None:
        if offset >= self._next:
            self._next = offset + 1
            self._ahead = {one for one in self._ahead if one > offset}

    def done(self, offset: int) -> None:
        """All that follows from it is said."""
        if offset >= self._next:
            self._ahead.add(offset)
        else:
            self._open.discard(offset)

    @property
    def ever(self) -> bool:
        """Whether anything of the lane was ever begun."""
        return self._next > 0

    @property
    def committable(self) -> int:
        """Everything below is done."""
        return min(self._open, default=self._next)

    @property
    def note(self) -> str:
        """What the commit says of it beside the offset."""
        return progress_note(self._next, len(self._open))

    def lane(self) -> Lane:
        """For a checkpoint."""
        return Lane(next=self._next, open=tuple(sorted(self._open)), ahead=tuple(sorted(self._ahead)))


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the journal says to who takes the slot.

    `lanes`: by declared topic.  `redo`: outcomes whose effects were not committed.  `in_doubt`: intents without an
    outcome.  `today` counts what went on `day`, by provider, as of the last commit.
    """

    lanes: Mapping[str, LaneBook]
    redo: tuple[Outcome, ...] = ()
    in_doubt: dict[Key, Intent] = field(default_factory=dict)
    day: str = ""
    today: Mapping[str, int] = field(default_factory=dict)


def remembered(
    checkpoint: Checkpoint | None, later: Iterable[Entry], committed: Mapping[str, int], *, now: datetime
) -> Memory:
    """What follows from the last committed checkpoint and the journal's records behind it, in their order.

    `committed` are the group's offsets by declared topic: where there is no checkpoint, the lanes stand there, and
    nowhere before it.
    """
    lanes = {topic: LaneBook(Lane(next=offset)) for topic, offset in committed.items()}
    doubtful: dict[Key, Intent] = {}
    outcomes: dict[Key, Outcome] = {}
    if checkpoint is not None:
        lanes |= {topic: LaneBook(lane) for topic, lane in checkpoint.lanes.items()}
        for topic, offset in committed.items():
            lanes[topic].starts(offset)
        doubtful = {(intent.send_id, intent.deal): intent for intent in checkpoint.open}
    for entry in later:
        match entry:
            case Intent():
                doubtful[entry.send_id, entry.deal] = entry
            case Outcome():
                outcomes[entry.send_id, entry.deal] = entry
            case _:  # a checkpoint that was not committed
                pass

    def comes(entry: Intent | Outcome) -> bool:
        book = lanes.get(entry.lane or "")
        return book is not None and entry.offset is not None and not book.is_done(entry.offset)

    return Memory(
        lanes=lanes,
        redo=tuple(outcome for outcome in outcomes.values() if comes(outcome)),
        in_doubt={
            key: intent
            for key, intent in doubtful.items()
            if key not in outcomes and comes(intent) and intent.at + FORGOTTEN > now
        },
        day="" if checkpoint is None else checkpoint.day,
        today={} if checkpoint is None else checkpoint.today,
    )
