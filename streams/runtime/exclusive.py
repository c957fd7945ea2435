"""Writes that only one process at a time may do, each batch of them whole or not at all (KIP-98).

Entering shuts out whoever did it before, and ends what that one left open: what was written before is then known, and
nothing can be added to it behind our back.  Blocking.
"""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from streams.runtime.errors import ClusterUnreachableError, FencedError, RecordRefusedError, TransactionAbortedError
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.record import Record
from streams.runtime.partition.transactions import FencedProducer
from streams.runtime.settings import Settings

# A broker that restarts is back within this; a command that waits longer tells its user.
FENCE_LIMIT_S: Final = 30.0


class ExclusiveWriter:
    """The one writer of that name in the deployment; a context manager."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._bootstrap = settings.kafka.bootstrap
        full = f"{settings.kafka.prefix}{name}"
        self._producer = FencedProducer(settings.kafka, full)
        self._group = GroupOffsets(settings.kafka, full)  # asked for by `commit`; no offsets are ever committed

    def write(self, records: Sequence[Sequence[Record]]) -> list[int]:
        """Write each group of records whole; returns the places of those that the broker refuses for what they are.

        Raises FencedError where another took over, TransactionAbortedError where nothing could be written: what was
        written before stays.
        """
        return self._write(list(enumerate(records)))

    def _write(self, groups: Sequence[tuple[int, Sequence[Record]]]) -> list[int]:
        try:
            self._producer.commit([record for _, group in groups for record in group], {}, self._group, changelog="")
        except RecordRefusedError:
            if len(groups) == 1:
                return [groups[0][0]]
            half = len(groups) // 2
            return self._write(groups[:half]) + self._write(groups[half:])
        return []

    def __enter__(self) -> Self:
        deadline = time.monotonic() + FENCE_LIMIT_S
        while not self._producer.fence():
            if time.monotonic() > deadline:
                raise ClusterUnreachableError(self._bootstrap, f"no transaction within {FENCE_LIMIT_S:.0f} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close()
        self._group.close()


__all__ = ["ExclusiveWriter", "FencedError", "Record", "TransactionAbortedError"]
