"""One partition, decided in transactions: table, outputs and source offsets become visible together or not at all.

The steps (DESIGN.md, choice 4): take the partition over (`taking_over`); then batch by batch decide (`deciding`), weigh
by the fuse, produce and commit (`transactions`).  Idle, a batch is what just came,
committed at once; busy, it is what gathered within a `window`.

What ends a batch otherwise:
- aborted: nothing of it happened.  Its events go back to the head of their inboxes and are decided anew.
- aborted for a record that no broker takes: the same by halves, until one event is found to be the reason; that one is
  rejected, or buried.
- fenced, or nobody can say whether it was committed: start nothing, drop overlay, table and producer, and take the
  partition over anew in this process.  Its events go back to their inboxes as well; the stable offsets that are read
  after the fence say which of them had been decided, and those are passed over and counted.  Nothing that was decided
  before is used again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from streams.runtime import metrics
from streams.runtime.errors import (
    FencedError,
    RecordRefusedError,
    RuntimeFault,
    TransactionAbortedError,
)
from streams.runtime.partition.bounded_commit import committed_and_applied
from streams.runtime.partition.deciding import Decided, Decider, Deciding, Output, Received
from streams.runtime.partition.fuse import Fuse
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.halving import Halving
from streams.runtime.partition.inbox import Inbox
from streams.runtime.partition.slices import Slices
from streams.runtime.partition.stateless import NoTable
from streams.runtime.partition.table_recovery import TableRecovery
from streams.runtime.partition.taking_over import Taken, TakingOver
from streams.runtime.partition.transactions import FencedProducer, PartitionProducer
from streams.runtime.partition.window import wait_s
from streams.runtime.settings import Settings
from streams.runtime.state.tables import PartitionTable

__all__ = ["Decider", "Output", "PartitionLoop", "Received"]

log = structlog.get_logger(__name__)

# A batch is decided on the event loop in one go, heartbeats and other partitions wait: never more events than that, and
# no more than `slices` says.
BATCH: Final = 500
RELEASE: Final = 300
# While nothing comes and nothing is due, look again this often: views change without an event.
IDLE_S: Final = 0.25
BACK_OFF_S: Final = 0.5

_Taken = Taken[PartitionProducer, PartitionTable | NoTable]


async def _unasked() -> bool:
    """Without a group, as in a test, an owner is who was made one."""
    return True


class PartitionLoop:
    """The owner of one partition."""

    def __init__(
        self,
        partition: int,
        *,
        settings: Settings,
        role: str,
        topics: Sequence[str],
        changelog: str | None,
        path: Path | None,
        group: GroupOffsets,
        executor: Executor,
        make_decider: Callable[[Any], Decider],
        may_decide: Callable[[], bool],
        on_failure: Callable[[BaseException], None],
        on_worked: Callable[["PartitionLoop", int], None],
        is_owner: Callable[[], Awaitable[bool]] = _unasked,
        make_producer: Callable[[], PartitionProducer] | None = None,
        fuse: Fuse | None = None,
    ) -> None:
        """`topics` in the order in which they are served, and `changelog`, by declared name.

        `is_owner`: the group confirms the assignment (`Ownership.confirmed`).  `changelog` None: no table.  `executor`
        recovers tables: as many at once as it has threads.
        """
        self.partition = partition
        self.ready = False
        self._settings = settings
        self._names = {settings.topic(name): name for name in topics}
        self._inbox = Inbox(self._names)
        self._changelog = None if changelog is None else settings.topic(changelog)
        self._group = group
        self._make_decider = make_decider
        self._may_decide = may_decide
        self._on_failure = on_failure
        self._on_worked = on_worked
        self._fuse = fuse or Fuse(settings.worker.fuse_share)
        self._table = TableRecovery(
            partition, kafka=settings.kafka, changelog=self._changelog, path=path, go_on=lambda: not self._stopping
        )
        self._taking: TakingOver[PartitionProducer, PartitionTable | NoTable] = TakingOver(
            partition,
            topics=self._inbox.topics,
            group=group,
            executor=executor,
            make_producer=make_producer
            or (lambda: FencedProducer(settings.kafka, f"{settings.kafka.prefix}{role}-{partition}")),
            recover=lambda _: self._table.recover(),
            is_owner=is_owner,
            go_on=lambda: not self._stopping,
        )
        self._halving = Halving(batch=BATCH, release=RELEASE)
        self._slices = Slices(BATCH)
        self._began, self._last_events = 0.0, 0
        self._stopping = False
        self._done = asyncio.Event()
        self._done.set()

    async def run(self) -> None:
        """Take the partition over, then decide until stopped; where it was fenced, take it over anew."""
        if self._stopping:  # given up before it began: fencing now would fence the next owner
            return
        self._done.clear()
        try:
            while (taken := await self._taking.take()) is not None:
                try:
                    self._inbox.begin_at(self._table.floor(taken.stable, taken.recovered))
                    self.ready = True
                    await self._decide_all(taken)
                except FencedError as error:
                    log.warning("partition fenced, it is taken over anew", partition=self.partition, error=str(error))
                    metrics.TRANSACTIONS.labels("fenced").inc()
                finally:
                    self.ready = False
                    await taken.give_up(f"partition {self.partition}")
        except Exception as error:
            # An error of the runtime's own says what is wrong and what to do; anything else is a defect of ours.
            traceback = None if isinstance(error, RuntimeFault) else error
            log.exception("partition failed", partition=self.partition, error=str(error), exc_info=traceback)
            self._on_failure(error)
            raise
        finally:
            self._done.set()

    def put(self, message: Any) -> None:
        """Take an event over, once."""
        self._inbox.put(message)

    def backlog(self, topic: str) -> int:
        """How many events of this topic wait to be decided."""
        return self._inbox.backlog(topic)

    def positions(self) -> dict[str, int]:
        """Each topic's (full name) offset up to which all is decided and committed; empty until it is taken over."""
        return self._inbox.positions()

    async def stop(self) -> None:
        """Finish the transaction in progress; what waits in the inbox is the next owner's."""
        self._stopping = True
        self._inbox.end()
        await self._done.wait()

    async def _decide_all(self, taken: _Taken) -> None:
        deciding = Deciding(
            taken.recovered,
            self._make_decider,
            partition=self.partition,
            settings=self._settings,
            names=self._names,
            changelog=self._changelog,
        )
        while not self._stopping:
            if not self._may_decide():
                await asyncio.sleep(IDLE_S)
                continue
            if not await self._gathered():
                return
            batch = self._inbox.take(self._most)
            now = datetime.now(UTC)
            release = self._halving.release(time.monotonic())
            decided = deciding.decide(batch, now, release=release, refused=self._halving.refused)
            self._slices.took(len(batch), decided.events_s)
            if not batch and decided.empty:
                self._on_worked(self, self.partition)  # all that came may lie below the floor
                await self._idle(deciding.next_release(now), now)
                continue
            try:
                with self._fuse.weighed(events=len(batch), failed=decided.failed):
                    await self._commit(taken, batch, decided)
            except TransactionAbortedError as error:
                self._inbox.put_back(batch)
                deciding.begin_anew()
                await self._aborted(error, batch, release)
            except FencedError:
                self._inbox.put_back(batch)
                raise
            else:
                metrics.FUSE.set(self._fuse.share)
                self._halving.went(len(batch))
            self._on_worked(self, self.partition)

    @property
    def _most(self) -> int:
        return min(self._halving.batch, self._slices.batch)

    async def _gathered(self) -> bool:
        """Wait for the window's end, or a full batch; not where nothing waits.  False where all is to end."""
        waiting = self._inbox.waiting
        if waiting:
            since = time.monotonic() - self._began
            full = self._most
            wait = wait_s(since_last_s=since, last_events=self._last_events, waiting=waiting, full=full)
            await self._inbox.fill(wait, full=full)
        return not self._stopping

    async def _commit(self, taken: _Taken, batch: Sequence[Any], decided: Decided) -> None:
        offsets: dict[tuple[str, int], int] = {}
        for message in batch:
            offsets[(message.topic, message.partition)] = message.offset + 1
        self._began, self._last_events = time.monotonic(), len(batch)
        await committed_and_applied(
            commit=lambda: taken.producer.commit(
                decided.records, offsets, self._group, changelog=self._changelog or ""
            ),
            apply=lambda last: taken.recovered.apply(None if last is None else last + 1),
            name=f"partition {self.partition}",
        )
        self._inbox.committed({topic: offset for (topic, _), offset in offsets.items()})
        self._count(batch, decided)

    def _count(self, batch: Sequence[Any], decided: Decided) -> None:
        metrics.TRANSACTIONS.labels("committed").inc()
        metrics.COMMIT_SECONDS.observe(time.monotonic() - self._began)
        metrics.BATCH.observe(len(batch))
        for topic, events in Counter(message.topic for message in batch).items():
            metrics.EVENTS.labels(self._names[topic]).inc(events)
        prefix = self._settings.kafka.prefix
        for topic, records in Counter(record.topic for record in decided.records).items():
            metrics.OUTPUTS.labels(topic.removeprefix(prefix)).inc(records)
        for source, letters in decided.letters.items():
            metrics.DEAD_LETTERS.labels(source).inc(letters)

    async def _aborted(self, error: TransactionAbortedError, batch: Sequence[Any], release: int) -> None:
        metrics.TRANSACTIONS.labels("aborted").inc()
        log.warning("transaction aborted, deciding again", partition=self.partition, error=str(error))
        if isinstance(error, RecordRefusedError):
            self._halving.halve(batch, error, released=release, now=time.monotonic())
        else:
            await asyncio.sleep(BACK_OFF_S)

    async def _idle(self, due: datetime | None, now: datetime) -> None:
        wait = IDLE_S if due is None else min(IDLE_S, max(0.0, (due - now).total_seconds()))
        await self._inbox.more(max(wait, 0.005))
