"""Who owns which partition in this process, and the hand-over of events to the owners.

On assignment an owner is made for each partition number and started in the background (a rebalance does not wait
for recovery).  On revocation every owner finishes or gives back what it has begun, *then* offsets are committed,
*then* all is dropped (FAUST.md 2).  Where an owner has many events of one topic waiting, that topic's partition is
paused: a slow partition never stalls the others (FAUST.md 19), nor marketing the transactional lane beside it (G6).

No event is passed over in silence, since a later one's offset would be committed past it: what comes before its owner
is made waits for it, what comes after a release is read again by whoever gets the partition, and for anything else the
worker ends.

An owner that does not stop within STOP_S holds up the revocation, and with it the whole group.  It is left behind: the
worker ends, and is started anew without it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import structlog
from faust.types import TP

from streams.runtime import metrics
from streams.runtime.app import EvenpostApp
from streams.runtime.errors import LostEventError, OwnerStuckError

log = structlog.get_logger(__name__)

# With HIGH events of a topic waiting, the owner's partition of it is not fetched any more, with LOW it is again.
HIGH = 4_000
LOW = 1_000
# A commit is given up after 40 s (`bounded_commit`); who stops has nothing that takes longer, and the group waits.
STOP_S: Final = 45.0


class Owner(Protocol):
    """What has exclusive charge of one partition number."""

    @property
    def ready(self) -> bool:
        """Whether it has become the owner (fenced, recovered) and works."""

    def positions(self) -> Mapping[str, int] | None:
        """Each topic's (full name) offset up to which all is done and committed; None where `app.ledger` knows it."""

    async def run(self) -> None:
        """Become the owner (fence, recover), then work until stopped.  Events may arrive before that is done."""

    def put(self, message: Any) -> None:
        """Take an event (a Faust message) over."""

    def backlog(self, topic: str) -> int:
        """How many events of this topic (its full name) wait."""

    async def stop(self) -> None:
        """Finish or give back what was begun; forget the rest."""


class Ownership:
    """The owners of this process."""

    def __init__(self, app: EvenpostApp, make_owner: Callable[[int], Owner]) -> None:
        self._app = app
        self._make_owner = make_owner
        self._owners: dict[int, Owner] = {}
        # Those that stop: seen by who watches this worker, and given nothing more.
        self._leaving: dict[int, Owner] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._paused: set[TP] = set()
        self._early: list[Any] = []
        # Generations (Faust's number of the assignment) for which owners were made, and after which they were let go.
        self._made: int | None = None
        self._released: int | None = None
        self._closed = False
        self._releasing = asyncio.Lock()
        self.failed: asyncio.Future[None] | None = None
        app.on_partitions_assigned.connect(self._assigned)
        app.on_partitions_revoked.connect(self._revoked)

    @property
    def partitions(self) -> tuple[int, ...]:
        """The partition numbers owned now, or not given back yet."""
        return tuple(sorted(self._owners | self._leaving))

    @property
    def leaving(self) -> int:
        """How many owners are being stopped."""
        return len(self._leaving)

    @property
    def ready(self) -> bool:
        """Whether something is owned here, all of it recovered, and nothing is being given back."""
        return bool(self._owners) and not self._leaving and all(owner.ready for owner in self._owners.values())

    def owner(self, partition: int) -> Owner | None:
        """The owner of this partition number, if it is ours."""
        return self._owners.get(partition) or self._leaving.get(partition)

    def owners(self) -> Iterable[Owner]:
        """The owners themselves."""
        return (self._owners | self._leaving).values()

    async def confirmed(self) -> bool:
        """Whether the group confirms, by a heartbeat of now, that this worker has what it was assigned."""
        return bool(await self._consumer().confirmed())

    async def _assigned(self, *given: Any, **__: Any) -> None:
        if self._closed:
            return
        metrics.REBALANCES.inc()
        self._made, self._released = self._app.consumer_generation_id, None
        for partition in sorted({tp.partition for tp in given[-1]}):
            if partition not in self._owners:
                owner = self._owners[partition] = self._make_owner(partition)
                task = asyncio.create_task(owner.run(), name=f"owner-{partition}")
                self._running.add(task)
                task.add_done_callback(self._ended)
        metrics.PARTITIONS.set(len(self._owners))
        log.info("assigned", partitions=self.partitions)
        early, self._early = self._early, []
        for message in early:
            if message.generation_id == self._made:
                self.hand_over(message)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.fail(task.exception())

    def fail(self, error: BaseException | None) -> None:
        """An owner can't go on: the process must end and be started anew."""
        if self.failed is not None and not self.failed.done() and error is not None:
            self.failed.set_exception(error)

    async def _revoked(self, *_: Any, **__: Any) -> None:
        await self.release()

    async def release(self) -> None:
        """Let every owner finish or give back what it began, commit what is done, forget the rest.

        An owner that fails, or failed before, keeps none of the others from finishing; one that does not stop within
        STOP_S ends the worker.
        """
        async with self._releasing:  # who closes while partitions are revoked waits for what the revocation waits for
            self._leaving, self._owners = self._owners, {}
            self._made, self._released = None, self._app.consumer_generation_id
            self._early.clear()
            try:
                await self._stop(self._leaving)
            finally:
                released, self._leaving = len(self._leaving), {}
            metrics.PARTITIONS.set(0)
            await self._app.consumer.commit()
            self._app.ledger.drop()
            self._paused.clear()
            if released:
                log.info("released", partitions=released)

    async def _stop(self, owners: Mapping[int, Owner]) -> None:
        stopping = {asyncio.create_task(owner.stop()): partition for partition, owner in owners.items()}
        if not stopping:
            return
        try:
            done, stuck = await asyncio.wait(stopping, timeout=STOP_S)
        except asyncio.CancelledError:
            for task in stopping:
                task.cancel()
            raise
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.warning("owner did not stop cleanly", partition=stopping[task], error=repr(error))
        if stuck:
            for task in stuck:
                task.cancel()
            self._closed = True  # what it holds (a table, a socket) would be in the way of an owner made here
            self.fail(OwnerStuckError(sorted(stopping[task] for task in stuck), limit_s=STOP_S))

    async def close(self) -> None:
        """Release, for good: an assignment that still comes makes no owner."""
        self._closed = True
        await self.release()

    async def take_from(self, stream: Any) -> None:
        """Hand over all that a stream of raw records brings.

        Faust's iterator yields to the event loop before each record, and a busy sender's turn takes 0.2 s: so with each
        record goes what else its channel holds.  Else marketing is sent while transactional sends wait unseen.
        As Faust does: what was fetched before a rebalance is dropped, since it is fetched again.
        """
        unacked = stream.noack()
        async for event in unacked.events():
            self.hand_over(event.message)
            queue = unacked.channel.queue
            while not queue.empty():
                message = queue.get_nowait().message
                if self._app.flow_control.is_active() and message.generation_id == self._app.consumer_generation_id:
                    self.hand_over(message)

    def hand_over(self, message: Any) -> None:
        """Give an event to its partition's owner."""
        owner = self._owners.get(message.partition)
        if owner is None:
            self._without_owner(message)
            return
        owner.put(message)
        if owner.backlog(message.topic) >= HIGH:
            # The message's own `tp` is aiokafka's type: given to Faust, its next look at the active ones asserts.
            tp = TP(message.topic, message.partition)
            if tp not in self._paused:
                self._paused.add(tp)
                self._consumer().hold(tp)

    def _without_owner(self, message: Any) -> None:
        """Of an earlier assignment, or released: it is read again.  Ahead of the owner: it waits.  Else: a defect."""
        now = self._app.consumer_generation_id
        if self._closed or message.generation_id != now or self._released == now:
            return
        if self._made != now:
            self._early.append(message)
            return
        self.fail(LostEventError(message.topic, message.partition, message.offset))

    def resume(self, owner: Owner, partition: int) -> None:
        """Fetch the partition of each topic again where its owner has worked the backlog off."""
        for tp in [tp for tp in self._paused if tp.partition == partition and owner.backlog(tp.topic) <= LOW]:
            self._paused.discard(tp)
            self._consumer().let_go(tp)

    def _consumer(self) -> Any:
        return self._app.consumer  # an EvenpostConsumer, of which Faust's types know nothing
