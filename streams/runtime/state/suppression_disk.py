"""The suppression list on disk, and how far each of its topic's partitions was read (ten millions of entries).

All entries of an address lie under one key, so that a lookup is one read, and for most addresses not even that: a
Bloom filter says that there is none.  They lie there as the records' own bytes, which are decoded when looked up.

A batch of records and the offsets that they reach are written together.  There is no write-ahead log: what a kill loses
are the last batches with their offsets, and they are read from Kafka again.  The whole copy is thrown away, and read
anew, where it is of another topic than today's, claims more than the topic holds, or is older than Kafka keeps
tombstones.
"""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from rocksdict import DbClosedError, Rdict, WriteBatch

from schemas.events import Suppression
from streams.runtime.state.local_store import STALE_S, StoreError, clear, failed, open_store, size, warm, without_log
from streams.views.suppressions import address_of

_ENTRIES: Final = b"a/"
_CHECKPOINT: Final = b"\x00checkpoint"
# 100,000 records and more in one file: a first read of all makes dozens of files, not thousands.
BUFFER_BYTES: Final = 32 * 1024 * 1024
# What is in memory alone goes to disk this often (s): so much of the topic is read again after a kill.  Each file costs
# a share of a compaction of all the others.
FLUSH_EVERY_S: Final = 600.0
# A list to which nothing is added is confirmed on disk this often (s): often beside STALE_S, and no load.
CONFIRM_EVERY_S: Final = 3_600

Held = list[tuple[str, bytes]]  # (key, record) of each entry of an address


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How far the copy is, of which topic, and when (seconds since 1970) that was last the end of all its partitions.

    Until it first was, `seen` is when the copy began to be made.
    """

    topic_id: str
    positions: dict[int, int]
    seen: int


_encode = msgspec.msgpack.Encoder().encode
_decode_held = msgspec.msgpack.Decoder(Held).decode
_decode_checkpoint = msgspec.msgpack.Decoder(Checkpoint).decode
_decode_entry = msgspec.json.Decoder(Suppression).decode


class SuppressionsOnDisk:
    """A `SuppressionStore` (streams.views) that remembers how far it is.  One thread writes, any number look up."""

    def __init__(self, path: Path) -> None:
        """Raises StoreLockedError where a former process does not end."""
        self._path = path
        self._write_options = without_log()
        self._pending: dict[bytes, Held] = {}
        self._flushed = time.monotonic()
        self._failure: StoreError | None = None
        self._written_seen = 0
        self._open()

    def _open(self) -> None:
        self._store: Rdict = open_store(self._path, buffer_bytes=BUFFER_BYTES)
        warm(self._path)
        try:
            self._look()
        except Exception as error:  # noqa: BLE001  # rocksdict raises bare Exception; whatever it is, Kafka has the truth
            self._begin_anew(str(error))

    def _look(self) -> None:
        """Find out what the copy holds."""
        found = self._store.get(_CHECKPOINT)
        self._checkpoint: Checkpoint | None = None if found is None else _decode_checkpoint(found)
        cursor = self._store.iter()
        cursor.seek(_ENTRIES)
        self._any = cursor.valid()
        cursor.status()  # damage looks like an end otherwise

    def _begin_anew(self, reason: str) -> None:
        self._store.close()
        clear(self._path, reason=reason)
        self._store = open_store(self._path, buffer_bytes=BUFFER_BYTES)
        self._checkpoint, self._any = None, False

    # ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def entries(self, address_id: str) -> Iterable[Suppression]:
        """The entries of one address, as of the last batch."""
        return [_decode_entry(value) for _, value in self._stored(_place(address_id))]

    def put(self, key: str, entry: Suppression, value: bytes) -> None:
        """Set the entry of this key; seen once the batch is saved."""
        place = _place(entry.address_id)
        held = self._held(place)
        self._pending[place] = [*(one for one in held if one[0] != key), (key, value)] if held else [(key, value)]

    def remove(self, key: str) -> None:
        """Remove the entry of this key; seen once the batch is saved."""
        place = _place(address_of(key))
        self._pending[place] = [one for one in self._held(place) if one[0] != key]

    def __bool__(self) -> bool:
        """Whether an entry was ever put: what is gone since is not counted."""
        return self._any

    def _held(self, place: bytes) -> Held:
        pending = self._pending.get(place)
        return self._stored(place) if pending is None else pending

    def _stored(self, place: bytes) -> Held:
        try:
            found = self._store.get(place)
        except Exception as error:
            self._failure = failed(self._path, error)
            raise self._failure from error
        return [] if found is None else _decode_held(found)

    # ── how far ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def resume(self, topic_id: str, ends: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Where to read each partition on from, given its first and its next offset; 0 for all where the copy is void.

        The copy is void as a whole: an address's entries lie together, whichever partition they came by.
        """
        void = self._void(topic_id, ends)
        if void is not None:
            if self._checkpoint is not None or self._any:
                self._begin_anew(void)
            self._checkpoint = Checkpoint(topic_id=topic_id, positions=dict.fromkeys(ends, 0), seen=_now())
        assert self._checkpoint is not None  # noqa: S101  # void otherwise
        return dict(self._checkpoint.positions)

    def _void(self, topic_id: str, ends: Mapping[int, tuple[int, int]]) -> str | None:
        """Why the copy can't be built on, if so."""
        found = self._checkpoint
        if found is None:
            return "it was never filled"
        if found.topic_id != topic_id:
            return "the topic was made anew"
        if found.positions.keys() != ends.keys():
            return "the topic has other partitions"
        for partition, (low, high) in ends.items():
            # A copy at 0 has nothing of the partition, wherever that begins.
            if found.positions[partition] > high or 0 < found.positions[partition] < low:
                return f"it is at {found.positions[partition]}, partition {partition} holds {low} to {high}"
        behind = any(found.positions[partition] < high for partition, (_, high) in ends.items())
        if behind and _now() - found.seen > STALE_S:
            return f"it is {_now() - found.seen} s old, and tombstones may be gone"
        return None

    def save(self, positions: Mapping[int, int]) -> None:
        """Write the batch and where its partitions are read on from."""
        assert self._checkpoint is not None  # noqa: S101  # `resume` comes first
        self._checkpoint = msgspec.structs.replace(
            self._checkpoint, positions={**self._checkpoint.positions, **positions}
        )
        batch = WriteBatch(raw_mode=True)
        for place, held in self._pending.items():
            if held:
                batch.put(place, _encode(held))
            else:
                batch.delete(place)
        batch.put(_CHECKPOINT, _encode(self._checkpoint))
        try:
            self._store.write(batch, self._write_options)
        except Exception as error:
            raise failed(self._path, error) from error
        self._written_seen = self._checkpoint.seen
        self._any = self._any or any(self._pending.values())
        self._pending.clear()
        if time.monotonic() - self._flushed > FLUSH_EVERY_S:
            self._flushed = time.monotonic()
            self._store.flush(wait=False)

    def confirm(self, seen: int) -> None:
        """Note that all that was in the topic at this time (seconds since 1970) is in the copy.

        Only then is the copy younger: behind one that was left before its end may lie a tombstone that Kafka drops.
        It is written with the next batch, or by itself, once what is written is an hour old.
        """
        assert self._checkpoint is not None  # noqa: S101  # `resume` comes first
        self._checkpoint = msgspec.structs.replace(self._checkpoint, seen=seen)
        if seen - self._written_seen > CONFIRM_EVERY_S:
            self.save({})

    def check(self) -> None:
        """Raise StoreError where a lookup failed: nothing may rest on the copy any more."""
        if self._failure is not None:
            raise self._failure

    def size(self) -> int:
        """Bytes on disk."""
        return size(self._store)

    def close(self) -> None:
        """Bring to disk what was saved, and let go of the folder."""
        self._pending.clear()
        with suppress(DbClosedError):
            self._store.close()


def _place(address_id: str) -> bytes:
    return _ENTRIES + address_id.encode()


def _now() -> int:
    return int(time.time())
