"""A RocksDB in a folder of this member's: a copy of what Kafka holds, never the truth itself.

`open_store` waits for a former process that still ends (RocksDB locks its folder), throws away a copy that can't be
read, since Kafka has it all, and makes all stores of a process share one bounded memory: a gate has a dozen of them, a
sender one for each slot.
"""

import functools
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DataBlockIndexType,
    DBCompressionType,
    Options,
    Rdict,
    WriteBufferManager,
    WriteOptions,
)

from streams.runtime.errors import RuntimeFault

log = structlog.get_logger(__name__)

_MIB: Final = 1024 * 1024
# What all stores of a process may take: blocks read, and writes not on disk yet.  The system's page cache holds more of
# the files, and costs a copy and 10 us; a bound that grew with the number of partitions would be none.
CACHE_BYTES: Final = 128 * _MIB
WRITE_BYTES: Final = 96 * _MIB
# One store's share of the latter before it goes to disk: 8 MiB are some 40,000 persons.
BUFFER_BYTES: Final = 8 * _MIB
# A point read takes one block off the disk: 4 KiB are unpacked in some 3 us, 16 KiB in four times that.
BLOCK_BYTES: Final = 4 * 1024
# 10 bits a key: of the keys that are not there, 1 % are looked for all the same.
BLOOM_BITS: Final = 10
OPEN_FILES: Final = 128
# Kafka drops tombstones a day after compaction (delete.retention.ms): an older copy could keep what was deleted.
STALE_S: Final = 20 * 3600
# A worker that was told to stop is over within 20 s, or is ended (worker.STOP_LIMIT_S).
LOCK_WAIT_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.1
# Deletions that make a file worth compacting: this many among so many neighbours.
_WINDOW: Final = 8_192
_DELETIONS: Final = 4_096
# A reader that met damage leaves this file: whoever opens the store next begins anew.
_DAMAGED: Final = "DAMAGED"


class StoreError(RuntimeFault):
    """A local copy can't be worked on: no event is to blame, and none may pay for it."""


class StoreLockedError(StoreError):
    """Another process works on the folder."""

    def __init__(self, path: Path, waited_s: float) -> None:
        super().__init__(
            f"{path} is in use by another process after {waited_s:.0f} s; two workers have the same member name or "
            "data_dir: end one, or give it a name of its own"
        )


class StoreUnusableError(StoreError):
    """The system refuses the folder, or a read or write of it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} can't be worked on: {reason}; see to the disk and its rights, or set another data_dir"
        )


class StoreDamagedError(StoreError):
    """What was read is not what was written; opened again, the store is empty and is filled from Kafka."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}; it is rebuilt from Kafka when opened again")


@functools.cache
def _memory() -> tuple[Cache, WriteBufferManager]:
    """The one cache and the one bound for writes of this process."""
    return Cache(CACHE_BYTES), WriteBufferManager(WRITE_BYTES, allow_stall=False)


def _options(buffer_bytes: int) -> Options:
    cache, writes = _memory()
    blocks = BlockBasedOptions()
    blocks.set_block_cache(cache)
    blocks.set_block_size(BLOCK_BYTES)
    blocks.set_bloom_filter(BLOOM_BITS, block_based=False)
    blocks.set_data_block_index_type(DataBlockIndexType.binary_and_hash())
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_manager(writes)
    options.set_write_buffer_size(buffer_bytes)
    options.set_max_write_buffer_number(3)
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_memtable_whole_key_filtering(True)
    options.set_max_open_files(OPEN_FILES)
    options.set_compression_type(DBCompressionType.lz4())
    options.add_compact_on_deletion_collector_factory(_WINDOW, _DELETIONS, 0.5)
    options.set_keep_log_file_num(1)
    return options


def open_store(
    path: Path, *, buffer_bytes: int = BUFFER_BYTES, ttl_s: int | None = None, wait_s: float = LOCK_WAIT_S
) -> Rdict:
    """Open, or make, the store in this folder; with `ttl_s`, entries vanish some time after so many seconds.

    Raises StoreLockedError where another process holds the folder for longer than `wait_s`, StoreUnusableError where
    the system refuses.
    """
    if (path / _DAMAGED).exists():
        clear(path, reason="it was found damaged")
    deadline = time.monotonic() + wait_s
    cleared = False
    while True:
        try:
            return _open(path, buffer_bytes, ttl_s)
        except Exception as error:  # rocksdict raises bare Exception
            reason = str(error)
            if "LOCK" in reason:
                if time.monotonic() > deadline:
                    raise StoreLockedError(path, wait_s) from error
                time.sleep(_LOOK_AGAIN_S)
            elif cleared or (reason.startswith("IO error") and "No such file" not in reason):
                raise StoreUnusableError(path, reason) from error
            else:
                clear(path, reason=reason)
                cleared = True


def _open(path: Path, buffer_bytes: int, ttl_s: int | None) -> Rdict:
    path.mkdir(parents=True, exist_ok=True)
    options = _options(buffer_bytes)
    access = AccessType.read_write() if ttl_s is None else AccessType.with_ttl(ttl_s)
    # Named a second time as the column family's, or an existing store is opened without cache, filter and block size:
    # rocksdict then takes them from RocksDB's own file of options, which does not hold them.
    return Rdict(str(path), options, column_families={"default": options}, access_type=access)


def clear(path: Path, *, reason: str) -> None:
    """Throw the copy away."""
    log.warning("local copy is thrown away, Kafka has it all", store=path.name, reason=reason)
    shutil.rmtree(path, ignore_errors=True)


def warm(path: Path) -> None:
    """Bring the store's files into the system's cache, beside: a block off the disk takes 0.5 ms, one of it 20 us."""

    def read() -> None:
        for file in path.glob("*.sst"):
            with suppress(OSError), file.open("rb", buffering=0) as opened:  # a compaction may take it away
                while opened.read(_MIB):
                    pass

    threading.Thread(target=read, name=f"{path.name}-warm", daemon=True).start()


def failed(path: Path, error: Exception) -> StoreError:
    """What an error of a read or write amounts to; damage is noted, so that the next to open begins anew."""
    reason = str(error)
    if not reason.startswith("Corruption"):
        return StoreUnusableError(path, reason)
    (path / _DAMAGED).touch()
    return StoreDamagedError(path, reason)


def without_log() -> WriteOptions:
    """Writes that a kill may lose, the latest first: for copies that know from the store itself how far they are."""
    options = WriteOptions()
    setattr(options, "disable_wal", True)  # noqa: B010  # a property, which rocksdict's stub takes for a method
    return options


def size(store: Rdict) -> int:
    """Bytes that the store takes on disk."""
    return store.property_int_value("rocksdb.total-sst-files-size") or 0
