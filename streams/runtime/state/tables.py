"""One partition's table: RocksDB under an overlay, with a changelog on Kafka (after Kafka Streams' KIP-892).

A batch's writes stay in the overlay; `changes` are produced in the batch's transaction; once that is committed,
`apply` moves them to RocksDB in one write batch together with the changelog offset they reach.  An abort or a kill
leaves no trace, and recovery reads the changelog from the stored offset on, never from zero while the disk is kept.

A copy that is damaged says so instead of answering: no batch that met damage can be committed (`changes` raises), and
whoever opens the copy next begins anew from the changelog.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Gauge
from rocksdict import Rdict, WriteBatch, WriteOptions
from sortedcontainers import SortedDict

from streams.runtime import metrics
from streams.runtime.settings import KafkaSettings
from streams.runtime.state.changelog import BATCH, Change, Changelog, RecoveryError
from streams.runtime.state.local_store import STALE_S, StoreError, clear, failed, open_store, size, without_log
from streams.runtime.state.scan_floors import ScanFloors

__all__ = ["PartitionTable", "RecoveryError"]

log = structlog.get_logger(__name__)

# Keys that begin so are the table's own, below every key of a decider's: those start with a letter.
OWN: Final = b"\x00"
# These two are in this copy alone, what follows is in the changelog as well.
_OFFSET_KEY: Final = b"\x00offset"
_SEEN_KEY: Final = b"\x00seen"
_SOURCE: Final = b"\x00source/"
# A partition has three sources at the gate, one elsewhere.
_SOURCES: Final = 100
# Behind every key with a prefix: our keys are text.
_LAST: Final = b"\xff"
_MISSING: Final = object()
# More changes than this are recovered past the write-ahead log, and brought to disk at once when all are there.
_MANY: Final = 10 * BATCH
# A table's size is looked up this often (s), while it is written.
_SIZE_EVERY_S: Final = 30.0


class PartitionTable:
    """Keys and values (bytes) of one partition; with `ttl_s`, entries vanish some time after that many seconds."""

    def __init__(self, path: Path, *, ttl_s: int | None = None) -> None:
        """Raises StoreLockedError where a former process does not end."""
        self._path = path
        self._ttl_s = ttl_s
        self._db: Rdict = open_store(path, ttl_s=ttl_s)
        self._overlay: SortedDict[bytes, bytes | None] = SortedDict()
        self._undo: list[tuple[bytes, object]] | None = None
        self._floors = ScanFloors()
        self._failure: StoreError | None = None
        self._labels: tuple[str, str] | None = None
        self._gauge: Gauge | None = None
        self._sized = 0.0

    def get(self, key: bytes) -> bytes | None:
        """The value as the batch in progress sees it."""
        if key in self._overlay:
            pending: bytes | None = self._overlay[key]
            return pending
        try:
            found: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._met(error) from error
        return found

    def put(self, key: bytes, value: bytes) -> None:
        """Set in the overlay."""
        self._set(key, value)

    def delete(self, key: bytes) -> None:
        """Delete in the overlay."""
        self._set(key, None)

    def _set(self, key: bytes, value: bytes | None) -> None:
        if self._undo is not None:
            self._undo.append((key, self._overlay.get(key, _MISSING)))
        self._overlay[key] = value

    def scan(self, prefix: bytes, *, limit: int, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """At most `limit` pairs behind `after` whose keys start with `prefix`, in key order, overlay included."""
        begin = max(prefix, after + b"\x00") if after else prefix  # the least key behind it
        fresh = list(self._overlay.irange(begin, prefix + _LAST))
        stored = self._stored(prefix) if begin == prefix else self._stored_from(begin, prefix)
        ahead = next(stored, None)
        given = 0
        for key in fresh:
            while ahead is not None and ahead[0] < key and given < limit:
                yield ahead
                given += 1
                ahead = next(stored, None)
            if ahead is not None and ahead[0] == key:
                ahead = next(stored, None)
            if given >= limit:
                return
            value = self._overlay.get(key)
            if value is not None:
                yield key, value
                given += 1
        while ahead is not None and given < limit:
            if ahead[0] not in self._overlay:
                yield ahead
                given += 1
            ahead = next(stored, None)

    def _stored(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        first: bytes | None = None
        for pair in self._stored_from(self._floors.start(prefix), prefix):
            if first is None:
                first = pair[0]
                self._floors.learn(prefix, first)
            yield pair
        if first is None:
            self._floors.learn(prefix, prefix + _LAST)

    def _stored_from(self, begin: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._db.iter()
        cursor.seek(begin)
        while cursor.valid():
            key: bytes = cursor.key()
            if not key.startswith(prefix):
                return
            yield key, cursor.value()
            cursor.next()
        try:
            cursor.status()  # damage looks like an end otherwise
        except Exception as error:
            del cursor  # a cursor holds the store open, and the error's traceback whatever this frame holds
            raise self._met(error) from error

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo the writes of the block where it raises: an event is decided whole or not at all."""
        self._undo = []
        try:
            yield
        except BaseException:
            for key, before in reversed(self._undo):
                if before is _MISSING:
                    self._overlay.pop(key, None)
                else:
                    self._overlay[key] = before
            raise
        finally:
            self._undo = None

    def reach(self, topic: str, offset: int) -> None:
        """Note, beside what the batch wrote, that the source `topic` is decided up to `offset`."""
        self._overlay[_SOURCE + topic.encode()] = b"%d" % offset

    def reached(self) -> dict[str, int]:
        """Up to which offset each source is decided, by what is committed here."""
        found: dict[str, int] = {}
        for key, value in self.scan(_SOURCE, limit=_SOURCES):
            found[key.removeprefix(_SOURCE).decode()] = int(value)
        return found

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """The overlay, for the changelog.  Raises StoreError once anything that was asked could not be read."""
        if self._failure is not None:
            raise self._failure
        return list(self._overlay.items())

    def discard(self) -> None:
        """Forget the batch: its transaction was aborted."""
        self._overlay.clear()

    def apply(self, next_offset: int | None) -> None:
        """Make the batch's writes local state; `next_offset` is where the changelog goes on after them."""
        if self._overlay or next_offset is not None:
            self._floors.written(self._overlay)
            self._write(self._overlay.items(), next_offset, seen=None if next_offset is None else _now())
        self._overlay.clear()
        self._tell_size()

    def _write(
        self,
        pairs: Iterable[Change],
        next_offset: int | None,
        *,
        seen: int | None = None,
        options: WriteOptions | None = None,
    ) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in pairs:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if next_offset is not None:
            batch.put(_OFFSET_KEY, str(next_offset).encode())
        if seen is not None:
            batch.put(_SEEN_KEY, str(seen).encode())
        try:
            self._db.write(batch, options)
        except Exception as error:
            raise self._met(error) from error

    def _met(self, error: Exception) -> StoreError:
        """A read or write that failed ends what rests on this copy."""
        self._failure = failed(self._path, error)
        return self._failure

    # ── recovery ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def next_offset(self) -> int | None:
        """Where the changelog is to be read on from; None = from its beginning."""
        found = self._db.get(_OFFSET_KEY)
        return None if found is None else int(found)

    def recover(
        self, kafka: KafkaSettings, topic: str, partition: int, *, go_on: Callable[[], bool] = lambda: True
    ) -> int:
        """Read the changelog up to its end as of now (committed records); returns how many were read.  Blocking.

        How old the copy is counts from the last time that it reached the end, or from when it began to be made: what
        was not deleted then has its tombstone for as long as Kafka keeps one.  A reading that is interrupted leaves
        its records and makes the copy no younger.

        Raises RecoveryError where the changelog can't be read, or once `go_on` turns False.
        """
        began = _now()
        self._labels = (topic.removeprefix(kafka.prefix), str(partition))
        self._gauge = metrics.TABLE_BYTES.labels(*self._labels)
        with Changelog(kafka, topic, partition, go_on=go_on) as changelog:
            low, high = changelog.bounds()
            start = self._start(low, high)
            if start is None:
                self._write((), None, seen=began)
            if high in {low, start}:
                self._tell_size()
                return 0
            if high - (low if start is None else start) > _MANY:
                read = self._read(changelog, start, without_log(), go_on)
                self._db.flush()  # later writes go to the log: what they build on must be on disk before it is replayed
            else:
                read = self._read(changelog, start, None, go_on)
        self._write((), None, seen=began)
        self._floors = ScanFloors()
        self._tell_size()
        return read

    def _start(self, low: int, high: int) -> int | None:
        """Where to read on from; a copy that can't be built on is thrown away first."""
        try:
            start = self.next_offset
            void = None if start is None else self._void(start, low, high)
        except Exception as error:  # noqa: BLE001  # rocksdict raises bare Exception; whatever it is, Kafka has the truth
            void = str(error)
        if void is None:
            return start
        self._db.close()
        clear(self._path, reason=void)
        self._db = open_store(self._path, ttl_s=self._ttl_s)
        return None

    def _void(self, start: int, low: int, high: int) -> str | None:
        """Why the copy can't be built on, if so."""
        if not low <= start <= high:
            return f"it is at {start}, the changelog holds {low} to {high}"
        # One offset behind is where its own last commit was marked: nothing was written since.
        if high - start > 1 and time.time() - int(self._db.get(_SEEN_KEY) or 0) > STALE_S:
            return "it is older than Kafka keeps tombstones"
        return None

    def _read(
        self, changelog: Changelog, start: int | None, options: WriteOptions | None, go_on: Callable[[], bool]
    ) -> int:
        read = 0
        for changes, position in changelog.read(start):
            self._write(changes, position, options=options)
            read += len(changes)
            if not go_on():
                raise RecoveryError(f"{self._path.name}: given up after {read} records")
        return read

    def size(self) -> int:
        """Bytes on disk."""
        return size(self._db)

    def _tell_size(self) -> None:
        if self._gauge is not None and time.monotonic() - self._sized > _SIZE_EVERY_S:
            self._sized = time.monotonic()
            self._gauge.set(self.size())

    def close(self) -> None:
        """Close the store; the overlay is gone."""
        self._overlay.clear()
        if self._labels is not None:
            with suppress(KeyError):
                metrics.TABLE_BYTES.remove(*self._labels)
        with suppress(Exception):
            self._db.close()


def _now() -> int:
    return int(time.time())
