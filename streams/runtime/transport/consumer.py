"""Faust's consumer on aiokafka, committing what the ledger says and nothing else (FAUST.md 1-5, 12, 13, 21).

Stock Faust derives offsets from acks; here agents report to `app.ledger`, topics are declared with `acks=False`, and
every road by which Faust commits (timer, rebalance, stop) ends in `force_commit` below.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import aiokafka
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers.aiokafka import (
    AIOKafkaConsumerThread,
    ConsumerRebalanceListener,
    Transport,
    server_list,
)
from faust.types import TP

from streams.runtime import metrics
from streams.runtime.clients import aiokafka_security
from streams.runtime.transport import membership, static_member
from streams.runtime.transport.draining import DrainingConsumer
from streams.runtime.transport.ledger import Ledger
from streams.runtime.transport.patience import patient
from streams.runtime.transport.producer import EvenpostProducer
from streams.runtime.waiting import Waiting

# A fetch waits this long for its first byte.  Data answers at once; it only bounds how stale an empty answer is.
FETCH_WAIT_MS = 250
# A broker that has just started answers for topics whose leaders it does not know yet as if they had no partitions.  A
# group that is balanced at that moment owns nothing until its leader looks at the topics again: aiokafka's 5 minutes.
METADATA_AGE_MS = 3_000
# The coordinator answers a heartbeat in a millisecond or two; while a rebalance holds its connection it does not, and
# the session (6-12 s) must not run out while we wait.
ANSWER_LIMIT_S = 5.0
# A start that meets no broker tries again after this.
START_AGAIN_S = 1.0


class EvenpostRebalanceListener(ConsumerRebalanceListener):
    """Numbers assignments itself.

    Faust drops what was fetched before a rebalance by Kafka's generation.  A static member that joins again may be
    given the same generation twice (KIP-345): what lay in a queue would pass as fresh, ahead of what is fetched again
    from the committed offset.
    """

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Give Faust a number that no assignment of this process had."""
        app = self._thread.app
        app.consumer_generation_id += 1
        await self._thread.on_partitions_assigned(ensure_TPset(assigned), app.consumer_generation_id)


class EvenpostConsumerThread(AIOKafkaConsumerThread):
    """The thread that runs aiokafka: our assignor, committed records only."""

    # Under which standing the partitions owned now were assigned; None between a revocation and an assignment.
    assigned: membership.Standing | None = None
    # Between the end of a revocation and the next assignment.
    joining = False

    async def on_start(self) -> None:
        """As Faust's, but a broker that is away at this moment is waited for; `worker.serve` has a limit."""
        self._consumer = self._create_consumer(loop=self.thread_loop)
        self.time_started = asyncio.get_running_loop().time()
        waiting = Waiting()
        while not self.should_stop:
            try:
                await self._consumer.start()
                return
            except aiokafka.errors.KafkaConnectionError as error:
                waiting.lost(error)
                await asyncio.sleep(START_AGAIN_S)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Note that nothing is ours while the group is balanced."""
        self.assigned = None
        await super().on_partitions_revoked(revoked)
        self.joining = True

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Note the standing before any owner can ask for it."""
        self.joining = False
        self.assigned = membership.standing(self._coordinator())
        await super().on_partitions_assigned(assigned, generation_id)

    def _coordinator(self) -> Any:
        return getattr(self._consumer, "_coordinator", None)

    async def confirmed(self) -> bool:
        """See `EvenpostConsumer.confirmed`; runs in this thread."""
        assigned = self.assigned
        if assigned is None or not await membership.confirmed(self._coordinator(), assigned):
            return False
        return self.assigned == assigned

    async def leave(self) -> None:
        """See `EvenpostConsumer.leave`; runs in this thread."""
        if self._coordinator() is not None:
            await membership.leave(self._coordinator(), self.app.conf.consumer_group_instance_id)

    async def rejoin(self) -> bool:
        """See `EvenpostConsumer.rejoin`; runs in this thread."""
        if self.assigned is None:
            return False
        _ours(self.app).group_assignor.ask()
        self._coordinator().request_rejoin()
        return True

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        consumer = static_member.consumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            on_taken=_ours(self.app).on_member_taken,
            bootstrap_servers=server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[_ours(self.app).group_assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metadata_max_age_ms=METADATA_AGE_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            **aiokafka_security(_ours(self.app).settings.kafka),
        )
        return patient(consumer)

    async def _commit(self, offsets: Any) -> bool:
        """Commit, or say that it did not happen: a failure is tried again at the next interval (FAUST.md 3)."""
        if self.joining:
            # Nothing is ours.  The coordinator would refuse, and aiokafka then forgets the generation it is just given:
            # the group would be balanced once more.
            return False
        wanted = {aiokafka.TopicPartition(*tp): offset for tp, offset in offsets.items()}
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):  # aiokafka itself tries for as long as the broker is away
                await self._ensure_consumer().commit(wanted)
        except (aiokafka.errors.KafkaError, TimeoutError) as error:
            metrics.COMMIT_FAILURES.inc()
            self.log.warning("Commit failed, will be tried again: %r", error)
            return False
        return True


class EvenpostConsumer(DrainingConsumer):
    """Faust's consumer: what may be committed comes from the ledger."""

    _thread: EvenpostConsumerThread
    RebalanceListener = EvenpostRebalanceListener

    def _new_consumer_thread(self) -> EvenpostConsumerThread:
        return EvenpostConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def confirmed(self) -> bool:
        """Whether the partitions are still ours: a heartbeat sent now, in the assignment's generation, was answered.

        False for every other answer, a rebalance in progress included, and for none within ANSWER_LIMIT_S.
        """
        try:
            return bool(await self._in_thread(self._thread.confirmed))
        except Exception as error:  # noqa: BLE001  # whatever it was: not confirmed
            self.log.warning("Assignment not confirmed: %r", error)
            return False

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
        ledger: Ledger = _ours(self.app).ledger
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


def _ours(app: Any) -> Any:
    """The app as ours: Faust's own types don't know what `EvenpostApp` adds."""
    return app
