"""What the gate remembers of one person of a tenant: an entry for each mail that waits or was dealt.

An entry stops a second mail of the same send id, holds a place under the tenant's caps, and tells which dealing of a
send is the current one.  It is kept until `keep_ms` (the mail's or the campaign's end plus a week), and as long as it
waits or a cap's window reaches it.

The newest entries are kept up to the largest cap's number even beyond that, so that a window which is made wider finds
them; nothing else of them counts, their send ids are free again.  So under the same caps it makes no difference whether
a person who is past it all (`over`) is remembered, and the sweep (streams.gate.sweep) forgets them.
"""

from enum import IntEnum
from itertools import islice
from typing import Final

import msgspec

from schemas.events import Send

# 100 bytes each: half a megabyte, half of what one changelog record may hold.  An address that gets more mail than
# that within the kept time (an alarm box) forgets its oldest finished ones.
ENTRIES: Final = 5000


class Stage(IntEnum):
    """Where a mail stands, as far as its dealer knows."""

    WAITING = 0  # never dealt
    DEALT = 1
    RETURNED = 2  # came back, waits to be dealt again
    CLOSED = 3  # ended: by the gate after a return, or given back


class Entry(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One mail.  `counts`: it holds a place under the caps of `cap_class`, since `dealt_ms` (first dealing)."""

    send_id: str
    campaign_id: str
    cap_class: str | None
    counts: bool
    stage: Stage
    deal: int
    dealt_ms: int
    keep_ms: int
    slot: int | None
    source_topic: str
    source_partition: int
    source_offset: int

    @property
    def waits(self) -> bool:
        """Whether it has a row in the waiting room."""
        return self.stage in {Stage.WAITING, Stage.RETURNED}

    def held(self, now_ms: int, window_ms: int) -> bool:
        """Whether it can't be forgotten at any price: it waits, or counts in a window."""
        return self.waits or (self.counts and self.dealt_ms + window_ms > now_ms)

    def needed(self, now_ms: int, window_ms: int) -> bool:
        """Whether a decision may look at it."""
        return self.keep_ms > now_ms or self.held(now_ms, window_ms)

    def past(self) -> "Entry":
        """What stays of it beyond its term: when it was dealt, and in which class."""
        return self if not self.send_id else msgspec.structs.replace(self, send_id="", stage=Stage.CLOSED)

    def came_from(self, send: Send) -> bool:
        """Whether it was made by the very record that this send was drafted from."""
        return (self.source_offset, self.source_partition, self.source_topic) == (
            send.source_offset,
            send.source_partition,
            send.source_topic,
        )


class Person(msgspec.Struct, frozen=True, array_like=True):
    """All entries of one person, oldest first."""

    entries: tuple[Entry, ...] = ()

    def entry(self, send_id: str) -> Entry | None:
        """The entry of a mail, if it is remembered."""
        return next((one for one in self.entries if one.send_id == send_id), None)

    def with_entry(self, entry: Entry) -> "Person":
        """The person with this entry new or in place of its predecessor."""
        known = any(one.send_id == entry.send_id for one in self.entries)
        if not known:
            return Person((*self.entries, entry))
        return Person(tuple(entry if one.send_id == entry.send_id else one for one in self.entries))

    def without(self, send_id: str) -> "Person":
        """The person as if the mail had never been asked for."""
        return Person(tuple(one for one in self.entries if one.send_id != send_id))

    def over(self, now_ms: int, window_ms: int) -> bool:
        """Whether no decision would look at any of it."""
        return not any(entry.needed(now_ms, window_ms) for entry in self.entries)

    def pruned(self, now_ms: int, *, window_ms: int, largest_cap: int) -> "Person":
        """The person without what nothing needs; `window_ms` and `largest_cap` are the tenant's largest."""
        protected = len(self.entries) - largest_cap
        kept = [
            entry if needed else entry.past()
            for index, entry in enumerate(self.entries)
            if (needed := entry.needed(now_ms, window_ms)) or index >= protected
        ]
        excess = len(kept) + 1 - ENTRIES  # room for one more
        if excess > 0:
            free = (index for index, one in enumerate(kept) if not one.held(now_ms, window_ms))
            forgotten = frozenset(islice(free, excess))
            kept = [one for index, one in enumerate(kept) if index not in forgotten]
        entries = tuple(kept)
        return self if entries == self.entries else Person(entries)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Person).decode
NOBODY: Final = Person()
PERSONS: Final = b"p/"


def table_key(person_key: str) -> bytes:
    """The person's key in the gate's table."""
    return PERSONS + person_key.encode()


def load(data: bytes | None) -> Person:
    """The person as stored."""
    return NOBODY if data is None else _decode(data)


def dump(person: Person) -> bytes:
    """The person's stored form."""
    return _encode(person)
