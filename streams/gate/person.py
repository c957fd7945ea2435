"""What the gate remembers of one person of a tenant: an entry for each mail that waits or was dealt.

An entry stops a second mail of the same send id, holds a place under the tenant's caps, and tells which dealing of a
send is the current one.  It is kept until `keep_ms` (the mail's or the campaign's end plus a week), and as long as it
waits or a cap's window reaches it; the newest entries are kept up to the largest cap's number.
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

    def pruned(self, now_ms: int, *, window_ms: int, largest_cap: int) -> "Person":
        """The person without what nothing needs; `window_ms` and `largest_cap` are the tenant's largest."""

        def held(entry: Entry) -> bool:
            return entry.waits or (entry.counts and entry.dealt_ms + window_ms > now_ms)

        protected = len(self.entries) - largest_cap
        kept = [
            entry
            for index, entry in enumerate(self.entries)
            if entry.keep_ms > now_ms or index >= protected or held(entry)
        ]
        excess = len(kept) + 1 - ENTRIES  # room for one more
        if excess > 0:
            forgotten = {one.send_id for one in islice((one for one in kept if not held(one)), excess)}
            kept = [one for one in kept if one.send_id not in forgotten]
        return self if len(kept) == len(self.entries) else Person(tuple(kept))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Person).decode
NOBODY: Final = Person()


def table_key(person_key: str) -> bytes:
    """The person's key in the gate's table."""
    return b"p/" + person_key.encode()


def load(data: bytes | None) -> Person:
    """The person as stored."""
    return NOBODY if data is None else _decode(data)


def dump(person: Person) -> bytes:
    """The person's stored form."""
    return _encode(person)
