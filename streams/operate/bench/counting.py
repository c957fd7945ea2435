"""Deciders that count the events of each person, as a gate would decide them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from streams.runtime.dead_letters import Failure
from streams.runtime.partition.emission import Emission
from streams.runtime.partition.partition_loop import Received
from streams.runtime.state.tables import PartitionTable


class Counting:
    """One partition's."""

    def __init__(self, table: PartitionTable) -> None:
        self._table = table

    def receive(self, received: Received, now: datetime) -> Sequence[Any]:
        """One more for this person."""
        del now
        key = received.key or b""
        self._table.put(key, b"%d" % (int(self._table.get(key) or 0) + 1))
        return ()

    def reject(self, received: Received, now: datetime, failure: Failure) -> Sequence[Any]:
        """No event of the bench is bad."""
        raise AssertionError(f"offset {received.offset} at {now}") from failure.error

    def bury(self, received: Received, failure: Failure) -> Any:
        """As `reject`."""
        raise AssertionError(f"offset {received.offset}") from failure.error

    def release(self, now: datetime, *, limit: int) -> Sequence[Any]:
        """Nothing waits."""
        del now, limit
        return ()

    def next_release(self, now: datetime) -> datetime | None:
        """Never."""
        del now
        return None


class Telling(Counting):
    """Counts, and says each event on."""

    def __init__(self, table: PartitionTable, topic: str) -> None:
        super().__init__(table)
        self._topic = topic

    def receive(self, received: Received, now: datetime) -> Sequence[Any]:
        """One more, and a record."""
        super().receive(received, now)
        return (Emission(topic=self._topic, key=received.key, value=received.value),)
