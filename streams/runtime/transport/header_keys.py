"""Records whose header keys are no UTF-8: read like any other.

To Kafka's broker a record is bytes.  aiokafka reads header keys as UTF-8, strictly, and raises out of the fetch: every
worker that gets such a record's partition ends, one after the other.  So a batch that can't be read is read again by
aiokafka's reader in Python, which is slower, with the wrong bytes of a key escaped.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


class LenientRecords:
    """What aiokafka's fetcher asks of a partition's fetched bytes: batch after batch."""

    def __init__(self, data: bytes) -> None:
        self._records: Any = _MemoryRecordsPy(data)
        self.size_in_bytes = self._records.size_in_bytes
        self.has_next = self._records.has_next

    def next_batch(self) -> Any:
        """The next batch; of control batches and of old formats aiokafka's own, since they have no headers."""
        data = self._records._next_slice  # noqa: SLF001  # no other way to a batch's bytes
        batch = self._records.next_batch()
        if getattr(batch, "is_control_batch", True):
            return batch
        return _LenientBatch(batch, data)


class _LenientBatch:
    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            slow: Any = _DefaultRecordBatchPy(self._data)
            slow._maybe_uncompress()  # noqa: SLF001  # its first step, by which its buffer is what headers are in
            slow._buffer = _LenientBytes(slow._buffer)  # noqa: SLF001  # as above
            return iter(list(slow))


class _LenientBytes(bytearray):
    """Bytes of which each part can be decoded."""

    def __getitem__(self, at: Any) -> Any:
        found: Any = super().__getitem__(at)
        return _LenientBytes(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


def read_leniently() -> None:
    """Have aiokafka's fetchers read so, in the whole process: they take the reader from their module."""
    fetcher.MemoryRecords = LenientRecords
