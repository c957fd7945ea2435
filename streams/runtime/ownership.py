"""Who owns which partition in this process, and the hand-over of events to the owners.

On assignment an owner is made for each partition number and started in the background (a rebalance does not wait
for recovery).  On revocation every owner finishes or gives back what it has begun, *then* offsets are committed,
*then* all is dropped (FAUST.md 2).  Where an owner has many events of one topic waiting, that topic's partition is
paused: a slow partition never stalls the others (FAUST.md 19), nor marketing the transactional lane beside it (G6).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import structlog
from faust.types import TP

from streams.runtime.app import EvenpostApp

log = structlog.get_logger(__name__)

# With HIGH events of a topic waiting, the owner's partition of it is not fetched any more, with LOW it is again.
HIGH = 4_000
LOW = 1_000


class Owner(Protocol):
    """What has exclusive charge of one partition number."""

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
        self._running: set[asyncio.Task[None]] = set()
        self._paused: set[TP] = set()
        self.failed: asyncio.Future[None] | None = None
        app.on_partitions_assigned.connect(self._assigned)
        app.on_partitions_revoked.connect(self._revoked)

    @property
    def partitions(self) -> tuple[int, ...]:
        """The partition numbers owned now."""
        return tuple(sorted(self._owners))

    def owner(self, partition: int) -> Owner | None:
        """The owner of this partition number, if it is ours."""
        return self._owners.get(partition)

    def owners(self) -> Iterable[Owner]:
        """The owners themselves."""
        return self._owners.values()

    async def _assigned(self, *given: Any, **__: Any) -> None:
        for partition in sorted({tp.partition for tp in given[-1]}):
            if partition not in self._owners:
                owner = self._owners[partition] = self._make_owner(partition)
                task = asyncio.create_task(owner.run(), name=f"owner-{partition}")
                self._running.add(task)
                task.add_done_callback(self._ended)
        log.info("assigned", partitions=self.partitions)

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
        """Let every owner finish, commit what is done, forget the rest."""
        owners, self._owners = list(self._owners.values()), {}
        results = await asyncio.gather(*(owner.stop() for owner in owners), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                log.warning("owner did not stop cleanly", error=repr(result))
        await self._app.consumer.commit()
        self._app.ledger.drop()
        self._paused.clear()
        if owners:
            log.info("released", partitions=len(owners))

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
        """Give an event to its partition's owner; of a partition that is not ours any more, drop it."""
        owner = self._owners.get(message.partition)
        if owner is None:
            return
        owner.put(message)
        if owner.backlog(message.topic) >= HIGH:
            # The message's own `tp` is aiokafka's type: given to Faust, its next look at the active ones asserts.
            tp = TP(message.topic, message.partition)
            if tp not in self._paused:
                self._paused.add(tp)
                self._app.consumer.on_buffer_full(tp)

    def resume(self, owner: Owner, partition: int) -> None:
        """Fetch the partition of each topic again where its owner has worked the backlog off."""
        for tp in [tp for tp in self._paused if tp.partition == partition and owner.backlog(tp.topic) <= LOW]:
            self._paused.discard(tp)
            self._app.consumer.on_buffer_drop(tp)
