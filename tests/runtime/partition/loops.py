"""Partition loops without a group: the test hands the events over and says who is the owner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from streams.runtime.dead_letters import Failure
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.partition_loop import PartitionLoop, Received
from streams.runtime.partition.transactions import FencedProducer
from streams.runtime.settings import Settings
from streams.runtime.state.tables import PartitionTable
from tests.runtime.builders import read

SOURCE, OUT, STATE = "recipients.marketing", "sends.marketing", "gate-state"


class Saying:
    """Says each event's offset and how many came so far; what it does with some, a test decides."""

    def __init__(self, table: PartitionTable, special: Callable[[Received], bytes | None]) -> None:
        self._table = table
        self._special = special

    def receive(self, received: Received, now: datetime) -> Sequence[Any]:
        """Count and say."""
        count = int(self._table.get(b"count") or 0) + 1
        self._table.put(b"count", b"%d" % count)
        return [said(received, self._special(received) or b"%d" % count)]

    def reject(self, received: Received, now: datetime, failure: Failure) -> Sequence[Any]:
        """Say why not."""
        return [said(received, f"rejected: {failure.name} after {failure.tries}".encode())]

    def bury(self, received: Received, failure: Failure) -> Any:
        """Say that it could not even be rejected."""
        return said(received, b"buried")

    def release(self, now: datetime, *, limit: int) -> Sequence[Any]:
        """Nothing waits."""
        return []

    def next_release(self, now: datetime) -> datetime | None:
        """Never."""
        return None


def said(received: Received, what: bytes) -> Any:
    """An effect of one event."""
    value = b"%d %s" % (received.offset, what)
    return SimpleNamespace(topic=OUT, key=b"k", value=value, partition=0, headers={})


def nothing_special(_: Received) -> bytes | None:
    """Each event is like the next."""
    return None


async def always() -> bool:
    """Nobody else is the owner."""
    return True


class Bench:
    """What the loops of partition 0 share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.group = GroupOffsets(settings.kafka, f"{settings.kafka.prefix}gate")
        self.threads = ThreadPoolExecutor(4)
        self.failed: list[BaseException] = []

    def loop(
        self,
        name: str,
        *,
        special: Callable[[Received], bytes | None] = nothing_special,
        is_owner: Callable[[], Awaitable[bool]] = always,
        make_producer: Callable[[], FencedProducer] | None = None,
        group: GroupOffsets | None = None,
    ) -> PartitionLoop:
        """A loop of the partition, with its own disk."""
        return PartitionLoop(
            0,
            settings=self.settings,
            role="gate",
            topics=(SOURCE,),
            changelog=STATE,
            path=self.settings.data_dir / name,
            group=group or self.group,
            executor=self.threads,
            make_decider=lambda table: Saying(table, special),
            may_decide=lambda: True,
            on_failure=self.failed.append,
            on_worked=lambda *_: None,
            is_owner=is_owner,
            make_producer=make_producer,
        )

    def event(self, offset: int) -> Any:
        """A source record."""
        topic = self.settings.topic(SOURCE)
        return SimpleNamespace(topic=topic, partition=0, offset=offset, key=b"k", value=b"%d" % offset, headers=())

    def stable(self) -> int:
        """The group's offset of the source."""
        name = self.settings.topic(SOURCE)
        found = self.group.stable([name], 0)
        return -1 if found is None else found[name]

    async def stable_at(self, offset: int) -> None:
        """Wait until all below it is committed."""
        async with asyncio.timeout(60):
            while await asyncio.to_thread(self.stable) != offset:  # noqa: ASYNC110  # the broker tells nobody
                await asyncio.sleep(0.05)

    async def effects(self) -> list[bytes]:
        """All effects a reader of committed records sees, in order."""
        return [message.value() or b"" for message in await asyncio.to_thread(read, self.settings, OUT)]


@asynccontextmanager
async def running(*loops: PartitionLoop) -> AsyncIterator[None]:
    """The loops, run until the block ends, then stopped."""
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        yield
    finally:
        await asyncio.gather(*(loop.stop() for loop in loops))
        await asyncio.gather(*tasks, return_exceptions=True)
