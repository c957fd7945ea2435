"""Faust's consumer on aiokafka, committing what the ledger says and nothing else (FAUST.md 1-5).

Stock Faust derives offsets from acks; here agents report to `app.ledger`, topics are declared with `acks=False`, and
every road by which Faust commits (timer, rebalance, stop) ends in `force_commit` below.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from faust.transport.drivers.aiokafka import Transport
from faust.types import TP

from streams.runtime.transport.consumer_thread import (
    ANSWER_LIMIT_S,
    EvenpostConsumerThread,
    EvenpostRebalanceListener,
)
from streams.runtime.transport.draining import DrainingConsumer
from streams.runtime.transport.ledger import Ledger
from streams.runtime.transport.producer import EvenpostProducer


class EvenpostConsumer(DrainingConsumer):
    """Faust's consumer: what may be committed comes from the ledger."""

    app: Any  # an EvenpostApp, which imports this module
    _thread: EvenpostConsumerThread
    RebalanceListener = EvenpostRebalanceListener

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        # Why the assignment could not be confirmed since it last was: each reason was told.
        self._unconfirmed: set[str] = set()

    def _new_consumer_thread(self) -> EvenpostConsumerThread:
        return EvenpostConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def in_group(self) -> bool:
        """Whether the standing of the latest assignment is the one that aiokafka has now; asks nobody."""
        return self._thread.stands

    async def confirmed(self) -> bool:
        """Whether the partitions are still ours: a heartbeat sent now, in the assignment's generation, was answered.

        False for every other answer, a rebalance in progress included, and for none within ANSWER_LIMIT_S.
        """
        try:
            found = bool(await self._in_thread(self._thread.confirmed))
        except Exception as error:  # noqa: BLE001  # whatever it was: not confirmed
            # Each partition's owner asks several times a second, for as long as the coordinator is away.
            if (why := repr(error)) not in self._unconfirmed:
                self._unconfirmed.add(why)
                self.log.warning("Assignment not confirmed, asked again until it is: %s", why)
            return False
        if found:
            self._unconfirmed.clear()
        return found

    async def rejoin(self) -> bool:
        """Ask the group for a new plan; False where it is being balanced already, and so makes one."""
        return bool(await self._in_thread(self._thread.rejoin))

    async def leave(self) -> None:
        """Leave the group for good, so that its partitions move at once: after the last commit, before `app.stop`.

        A failure is logged: the group then notices by the session's timeout.
        """
        self._thread.assigned = None
        try:
            await self._in_thread(self._thread.leave)
        except Exception as error:  # noqa: BLE001  # the process ends all the same
            self.log.warning("Did not leave the group: %r", error)

    async def rewind(self, offsets: Mapping[Any, int]) -> None:
        """Have what was dropped of the latest fetch fetched again.

        Where aiokafka's loop is too busy to answer in time it still comes first there, before the next fetch.
        """
        try:
            await self._in_thread(lambda: self._thread.rewind(offsets))
        except TimeoutError:
            self.log.warning("Rewound late: aiokafka's loop is busy")

    async def _in_thread(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run in aiokafka's loop, beside its queue of calls: a commit that waits there must not hold this up."""
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        there = self._thread.thread_loop
        # Made there, not here: a loop that has ended would leave a coroutine behind that nobody awaits.
        there.call_soon_threadsafe(lambda: there.create_task(_answer(work, answer)))
        return await asyncio.wait_for(asyncio.wrap_future(answer), ANSWER_LIMIT_S)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what is done now.

        Stock Faust lets a second commit wait for the one under way and do nothing: at a revocation, what was done since
        that one began would be handed out again.
        """
        while await self.maybe_wait_for_commit_to_finish():
            pass
        return await super().commit(topics, start_new_transaction)

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit the contiguous prefix of done events of each partition that is ours."""
        del topics, start_new_transaction
        ledger: Ledger = self.app.ledger
        moved = ledger.committable()
        ours = self.assignment() if moved else frozenset()
        offsets = {tp: offset for tp, offset in moved.items() if TP(*tp) in ours}
        if not offsets or not await self._commit({TP(*tp): offset for tp, offset in offsets.items()}):
            return False
        ledger.committed(offsets)
        return True


class EvenpostTransport(Transport):
    """The transport that an app of ours uses."""

    Consumer = EvenpostConsumer
    Producer = EvenpostProducer


async def _answer(work: Callable[[], Coroutine[Any, Any, Any]], answer: "concurrent.futures.Future[Any]") -> None:
    try:
        result = await work()
    except Exception as error:  # noqa: BLE001  # whoever waits raises it
        if not answer.cancelled():
            answer.set_exception(error)
    else:
        if not answer.cancelled():
            answer.set_result(result)
