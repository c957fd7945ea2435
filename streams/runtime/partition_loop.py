"""One partition, decided in transactions: table, outputs and source offsets become visible together or not at all.

The steps (DESIGN.md, choice 4): fence the former owner; read the stable offsets; recover the table; then batch by
batch decide, produce and commit.  Idle, a batch is what just came, committed at once; busy, it is what gathered while
the last one was being committed.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from streams.runtime.errors import TransactionAbortedError
from streams.runtime.settings import Settings
from streams.runtime.tables import PartitionTable
from streams.runtime.transactions import FencedProducer, GroupOffsets, Record

log = structlog.get_logger(__name__)

# A batch is decided on the event loop in one go: 500 events at 200 us keep heartbeats and other partitions waiting
# for 0.1 s at most.
BATCH: Final = 500
RELEASE: Final = 300
# While nothing comes and nothing is due, look again this often: views change without an event.
IDLE_S: Final = 0.25
BACK_OFF_S: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Received:
    """A source record, by its topic's declared name."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


class Output(Protocol):
    """A record to emit, by its topic's declared name."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int | None
    headers: Mapping[str, bytes]


class Decider(Protocol):
    """The pure logic of the partition, over its table."""

    def receive(self, received: Received, now: datetime) -> Sequence[Any]:
        """Decide one event."""

    def reject(self, received: Received, now: datetime, error: Exception) -> Sequence[Any]:
        """Say what becomes of an event whose decision raised."""

    def bury(self, received: Received, error: Exception) -> Any:
        """The dead letter of an event that can't even be rejected."""

    def release(self, now: datetime, *, limit: int) -> Sequence[Any]:
        """Decide what waited and is due."""

    def next_release(self, now: datetime) -> datetime | None:
        """When something that waits is due."""


class PartitionLoop:
    """The owner of one partition."""

    def __init__(
        self,
        partition: int,
        *,
        settings: Settings,
        role: str,
        topics: Sequence[str],
        changelog: str,
        path: Path,
        group: GroupOffsets,
        executor: Executor,
        make_decider: Callable[[PartitionTable], Decider],
        may_decide: Callable[[], bool],
        on_failure: Callable[[BaseException], None],
        on_worked: Callable[["PartitionLoop", int], None],
    ) -> None:
        self.partition = partition
        self._settings = settings
        self._names = {settings.topic(name): name for name in topics}
        self._inboxes: dict[str, deque[Any]] = {settings.topic(name): deque() for name in topics}
        self._changelog = settings.topic(changelog)
        self._path = path
        self._group = group
        self._executor = executor
        self._make_decider = make_decider
        self._may_decide = may_decide
        self._on_failure = on_failure
        self._on_worked = on_worked
        self._producer = FencedProducer(settings.kafka, f"{settings.kafka.prefix}{role}-{partition}")
        self._stable: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._done = asyncio.Event()
        self._done.set()
        self.ready = False

    async def run(self) -> None:
        """Fence, recover, then decide until stopped."""
        if self._stopping:  # given up before it began: fencing now would fence the next owner
            return
        self._done.clear()
        table: PartitionTable | None = None
        try:
            table = await self._in_thread(self._take_over)
            self.ready = True
            await self._decide_all(table)
        except Exception as error:
            log.exception("partition failed", partition=self.partition)
            self._on_failure(error)
            raise
        finally:
            self.ready = False
            if table is not None:
                table.close()
            self._done.set()

    def _take_over(self) -> PartitionTable:
        self._producer.fence()
        self._stable = self._group.stable(list(self._inboxes), self.partition)
        table = PartitionTable(self._path)
        read = table.recover(self._settings.kafka, self._changelog, self.partition)
        log.info("partition recovered", partition=self.partition, records=read)
        return table

    def put(self, message: Any) -> None:
        """Take an event over, once: Faust seeks back to the committed offset when a rebalance interrupts a fetch."""
        if message.offset <= self._taken.get(message.topic, -1):
            return
        self._taken[message.topic] = message.offset
        self._inboxes[message.topic].append(message)
        self._wake.set()

    def backlog(self, topic: str) -> int:
        """How many events of this topic wait to be decided."""
        return len(self._inboxes[topic])

    async def stop(self) -> None:
        """Finish the transaction in progress; what waits in the inbox is the next owner's."""
        self._stopping = True
        self._wake.set()
        await self._done.wait()

    async def _decide_all(self, table: PartitionTable) -> None:
        decider = self._make_decider(table)
        while not self._stopping:
            if not self._may_decide():
                await asyncio.sleep(IDLE_S)
                continue
            batch = self._batch()
            now = datetime.now(UTC)
            records = self._decide(decider, table, batch, now)
            if not batch and not records:
                self._on_worked(self, self.partition)  # all that came may lie below the floor
                await self._idle(decider.next_release(now), now)
                continue
            try:
                await self._commit(table, batch, records)
            except TransactionAbortedError as error:
                log.warning("transaction aborted, deciding again", partition=self.partition, error=str(error))
                table.discard()
                decider = self._make_decider(table)
                for message in reversed(batch):
                    self._inboxes[message.topic].appendleft(message)
                await asyncio.sleep(BACK_OFF_S)
            self._on_worked(self, self.partition)

    def _batch(self) -> list[Any]:
        batch: list[Any] = []
        for topic, inbox in self._inboxes.items():
            floor = self._stable.get(topic, 0)
            while inbox and len(batch) < BATCH:
                message = inbox.popleft()
                if message.offset >= floor:  # below it, a former owner decided
                    batch.append(message)
        return batch

    def _decide(self, decider: Decider, table: PartitionTable, batch: Iterable[Any], now: datetime) -> list[Record]:
        outputs: list[Any] = []
        for message in batch:
            received = Received(
                topic=self._names[message.topic],
                partition=message.partition,
                offset=message.offset,
                key=message.key,
                value=message.value,
                headers=dict(message.headers or ()),
            )
            outputs += self._guarded(decider, table, received, now)
        with table.savepoint():
            outputs += decider.release(now, limit=RELEASE)
        records = [
            Record(topic=self._changelog, key=key, value=value, partition=self.partition)
            for key, value in table.changes()
        ]
        records += [
            Record(
                topic=self._settings.topic(output.topic),
                key=output.key,
                value=output.value,
                partition=output.partition,
                headers=output.headers,
            )
            for output in outputs
        ]
        return records

    def _guarded(self, decider: Decider, table: PartitionTable, received: Received, now: datetime) -> Sequence[Any]:
        """An error of ours about one event is that event's end, never the worker's (G8)."""
        try:
            with table.savepoint():
                return decider.receive(received, now)
        except Exception as failed:
            log.exception("event could not be decided", topic=received.topic, offset=received.offset)
            error = failed
        try:
            with table.savepoint():
                return decider.reject(received, now, error)
        except Exception:
            log.exception("event could not be rejected either", topic=received.topic, offset=received.offset)
            return [decider.bury(received, error)]

    async def _commit(self, table: PartitionTable, batch: Sequence[Any], records: Sequence[Record]) -> None:
        offsets: dict[tuple[str, int], int] = {}
        for message in batch:
            offsets[(message.topic, message.partition)] = message.offset + 1

        def commit() -> None:
            last = self._producer.commit(records, offsets, self._group, changelog=self._changelog)
            table.apply(None if last is None else last + 1)

        await self._in_thread(commit)

    async def _idle(self, due: datetime | None, now: datetime) -> None:
        wait = IDLE_S if due is None else min(IDLE_S, max(0.0, (due - now).total_seconds()))
        self._wake.clear()
        if any(self._inboxes.values()) or self._stopping:
            return
        try:
            await asyncio.wait_for(self._wake.wait(), max(wait, 0.005))
        except TimeoutError:
            return

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)
