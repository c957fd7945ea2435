"""How a partition's table comes back when the partition is taken over, and what is decided then.

1. The copy on this disk is opened, and its changelog read up to its end.
2. Decided is what lies below the group's stable offsets or below what the table itself has reached, whichever is
   higher: a coordinator that was restarted can tell offsets from before its restart (ADR 8).
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from streams.runtime import metrics
from streams.runtime.partition.group_offsets import Committed
from streams.runtime.partition.stateless import NoTable
from streams.runtime.settings import KafkaSettings
from streams.runtime.state.tables import PartitionTable

log = structlog.get_logger(__name__)


class TableRecovery:
    """Recovers one partition's table, as often as it has to be."""

    def __init__(
        self,
        partition: int,
        *,
        kafka: KafkaSettings,
        changelog: str | None,
        path: Path | None,
        go_on: Callable[[], bool],
    ) -> None:
        """`changelog` by full name; None, or no path: no table.  `go_on` turns False when all is to end."""
        self._partition = partition
        self._kafka = kafka
        self._changelog = changelog
        self._path = path
        self._go_on = go_on

    def recover(self) -> PartitionTable | NoTable:
        """Step 1.  Blocking.  Raises RecoveryError, or what a table that can't be opened raises."""
        if self._changelog is None or self._path is None:
            return NoTable()
        began = time.monotonic()
        table = PartitionTable(self._path)
        try:
            read = table.recover(self._kafka, self._changelog, self._partition, go_on=self._go_on)
        except BaseException:
            table.close()
            raise
        took = time.monotonic() - began
        name = self._changelog.removeprefix(self._kafka.prefix)
        metrics.RECOVERY_SECONDS.labels(name, self._partition).set(took)
        metrics.RECOVERED.labels(name).inc(read)
        log.info("partition recovered", partition=self._partition, records=read, seconds=round(took, 3))
        return table

    def floor(self, stable: Mapping[str, Committed], table: PartitionTable | NoTable) -> dict[str, int]:
        """Step 2: each source (full name) is decided below the offset given here."""
        reached = table.reached()
        floor: dict[str, int] = {}
        for topic, committed in stable.items():
            own = reached.get(topic.removeprefix(self._kafka.prefix), 0)
            if own > committed.offset:
                where = {"topic": topic, "partition": self._partition}
                log.warning("the group's offset is behind the table's", **where, group=committed.offset, reached=own)
            floor[topic] = max(own, committed.offset)
        return floor
