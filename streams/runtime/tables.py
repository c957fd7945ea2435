"""One partition's table: RocksDB under an overlay, with a changelog on Kafka (after Kafka Streams' KIP-892).

A batch's writes stay in the overlay; `changes` are produced in the batch's transaction; once that is committed,
`apply` moves them to RocksDB in one write batch together with the changelog offset they reach.  An abort or a kill
leaves no trace, and recovery reads the changelog from the stored offset on, never from zero while the disk is kept.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from rocksdict import AccessType, Options, Rdict, WriteBatch
from sortedcontainers import SortedDict

from streams.runtime.clients import librdkafka
from streams.runtime.errors import RuntimeFault
from streams.runtime.settings import KafkaSettings

# Below every key of ours: table keys start with a letter.
_OFFSET_KEY: Final = b"\x00offset"
_SEEN_KEY: Final = b"\x00seen"
# Kafka drops tombstones a day after compaction (delete.retention.ms): an older copy could keep what was deleted.
STALE_S: Final = 20 * 3600
# Behind every key with a prefix: our keys are text.
_LAST: Final = b"\xff"
_MISSING: Final = object()
RECOVERY_SILENCE_S: Final = 30.0
WRITE_BATCH: Final = 5_000
ASK_AGAIN_S: Final = 0.1


class RecoveryError(RuntimeFault):
    """The changelog could not be read to its end."""


class PartitionTable:
    """Keys and values (bytes) of one partition; with `ttl_s`, entries vanish some time after that many seconds."""

    def __init__(self, path: Path, *, ttl_s: int | None = None) -> None:
        self._path = path
        self._ttl_s = ttl_s
        self._db = self._open()
        self._overlay: SortedDict[bytes, bytes | None] = SortedDict()
        self._undo: list[tuple[bytes, object]] | None = None

    def _open(self) -> Rdict:
        self._path.mkdir(parents=True, exist_ok=True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_max_open_files(128)
        options.set_write_buffer_size(8 * 1024 * 1024)
        options.set_max_write_buffer_number(2)
        options.set_keep_log_file_num(1)
        access = AccessType.read_write() if self._ttl_s is None else AccessType.with_ttl(self._ttl_s)
        return Rdict(str(self._path), options, access_type=access)

    def get(self, key: bytes) -> bytes | None:
        """The value as the batch in progress sees it."""
        if key in self._overlay:
            pending: bytes | None = self._overlay[key]
            return pending
        found: bytes | None = self._db.get(key)
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

    def scan(self, prefix: bytes, *, limit: int) -> Iterator[tuple[bytes, bytes]]:
        """At most `limit` pairs whose keys start with `prefix`, in key order, overlay included."""
        fresh = list(self._overlay.irange(prefix, prefix + _LAST))
        stored = self._stored(prefix)
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
        cursor = self._db.iter()
        cursor.seek(prefix)
        while cursor.valid():
            key: bytes = cursor.key()
            if not key.startswith(prefix):
                return
            yield key, cursor.value()
            cursor.next()

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

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """The overlay, for the changelog."""
        return list(self._overlay.items())

    def discard(self) -> None:
        """Forget the batch: its transaction was aborted."""
        self._overlay.clear()

    def apply(self, next_offset: int | None) -> None:
        """Make the batch's writes local state; `next_offset` is where the changelog goes on after them."""
        if self._overlay or next_offset is not None:
            self._write(self._overlay.items(), next_offset)
        self._overlay.clear()

    def _write(self, pairs: Iterable[tuple[bytes, bytes | None]], next_offset: int | None) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in pairs:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if next_offset is not None:
            batch.put(_OFFSET_KEY, str(next_offset).encode())
            batch.put(_SEEN_KEY, str(int(time.time())).encode())
        self._db.write(batch)

    @property
    def next_offset(self) -> int | None:
        """Where the changelog is to be read on from; None = from its beginning."""
        found = self._db.get(_OFFSET_KEY)
        return None if found is None else int(found)

    def _usable(self) -> bool:
        """Whether the local copy can be built on: readable, and not older than Kafka keeps tombstones."""
        try:
            seen = self._db.get(_SEEN_KEY)
        except Exception:  # noqa: BLE001  # rocksdict raises bare Exception; whatever it is, Kafka has the truth
            return False
        return seen is None or time.time() - int(seen) <= STALE_S

    def recover(self, kafka: KafkaSettings, topic: str, partition: int) -> int:
        """Read the changelog up to its end as of now (committed records); returns how many were read.  Blocking."""
        if not self._usable():
            self._reset()
        consumer = Consumer(
            librdkafka(
                kafka,
                group_id=f"{topic}-recovery",
                enable_auto_commit=False,
                isolation_level="read_committed",
                enable_partition_eof=True,
                auto_offset_reset="earliest",
                fetch_wait_max_ms=50,
            )
        )
        try:
            return self._read(consumer, TopicPartition(topic, partition))
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, tp: TopicPartition) -> int:
        low, high = _ends(consumer, tp)
        start = self.next_offset
        if start is not None and (start < low or start > high):
            self._reset()
            start = None
        if high in {low, start}:
            return 0
        consumer.assign([TopicPartition(tp.topic, tp.partition, OFFSET_BEGINNING if start is None else start)])
        read = 0
        silent_since = time.monotonic()
        while True:
            messages = consumer.consume(WRITE_BATCH, timeout=1.0)
            pairs: list[tuple[bytes, bytes | None]] = []
            ended = False
            for message in messages:
                error = message.error()
                if error is None:
                    pairs.append((message.key() or b"", message.value()))
                elif error.code() == error._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                    ended = True
                else:
                    raise RecoveryError(f"{tp.topic}[{tp.partition}]: {error}") from KafkaException(error)
            if messages:
                silent_since = time.monotonic()
                position = consumer.position([tp])[0].offset
                self._write(pairs, position if position >= 0 else None)
                read += len(pairs)
            # EOF comes past the last commit marker, which no reader sees (FAUST.md 17a).
            if ended:
                return read
            if time.monotonic() - silent_since > RECOVERY_SILENCE_S:
                raise RecoveryError(f"{tp.topic}[{tp.partition}]: silent for {RECOVERY_SILENCE_S:.0f} s before its end")

    def _reset(self) -> None:
        self._db.close()
        shutil.rmtree(self._path)
        self._db = self._open()

    def close(self) -> None:
        """Close the store; the overlay is gone."""
        self._overlay.clear()
        with suppress(Exception):
            self._db.close()


def _ends(consumer: Consumer, tp: TopicPartition) -> tuple[int, int]:
    """The partition's low and high watermark.  A leader that moves, or was never asked yet, answers in a moment."""
    deadline = time.monotonic() + RECOVERY_SILENCE_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(tp, timeout=RECOVERY_SILENCE_S)
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise RecoveryError(f"{tp.topic}[{tp.partition}]: {error.args[0]}") from error
            time.sleep(ASK_AGAIN_S)
        else:
            return int(low), int(high)
