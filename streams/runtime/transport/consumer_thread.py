"""The thread in which aiokafka consumes: its set-up, what it knows of its assignment, its commits (FAUST.md 3, 12, 21).

1. It starts once a broker answers.
2. An assignment gets a number of our own, and the standing in the group under which it was given is kept.
3. Between the end of a revocation and the next assignment nothing is ours, and nothing is committed.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping
from typing import Any

import aiokafka
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, ConsumerRebalanceListener, server_list
from faust.types import TP

from streams.runtime import metrics
from streams.runtime.clients import aiokafka_security
from streams.runtime.life.waiting import Waiting
from streams.runtime.transport import membership, rewinding, static_member
from streams.runtime.transport.header_keys import read_leniently
from streams.runtime.transport.patience import patient

# A fetch waits this long for its first byte.  Data answers at once; it only bounds how stale an empty answer is.
FETCH_WAIT_MS = 250
# A broker that has just started answers for topics whose leaders it does not know yet as if they had no partitions.  A
# group that is balanced at that moment owns nothing until its leader looks at the topics again: aiokafka's 5 minutes.
METADATA_AGE_MS = 3_000
# The coordinator answers in a millisecond or two; while a rebalance holds its connection it does not, and the session
# (6-12 s) must not run out while we wait.
ANSWER_LIMIT_S = 5.0
# aiokafka leaves the group where nobody asked it for records so long, and joins again only once somebody does.  Faust
# asks for none of a member that stands by.  Whether a member that has partitions moves is the watchdog's to see.
NO_LIMIT_MS = math.inf
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

    app: Any  # an EvenpostApp, which imports this module

    # Under which standing the partitions owned now were assigned; None between a revocation and an assignment.
    assigned: membership.Standing | None = None
    # Between the end of a revocation and the next assignment.
    joining = False
    # aiokafka's assignment of which the latest fetch took its records.
    _fetched_of: Any = None

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

    @property
    def stands(self) -> bool:
        """Whether this member is in the group as it was assigned; false while the group is balanced."""
        return self.assigned is not None and membership.standing(self._coordinator()) == self.assigned

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
        self.app.group_assignor.ask()
        self._coordinator().request_rejoin()
        return True

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        read_leniently()
        consumer = static_member.consumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            on_taken=self.app.on_member_taken,
            bootstrap_servers=server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self.app.group_assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=NO_LIMIT_MS,
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metadata_max_age_ms=METADATA_AGE_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            **aiokafka_security(self.app.settings.kafka),
        )
        return patient(consumer)

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109  # Faust's signature
        max_records: int | None = None,
    ) -> Any:
        """What aiokafka has fetched, unless the assignment changed meanwhile: its records are not ours to give yet."""
        asked_of = rewinding.assignment(consumer)
        records = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        self._fetched_of = rewinding.assignment(consumer)
        if records and self._fetched_of is not asked_of:
            first = {tp: some[0].offset for tp, some in records.items()}
            rewinding.rewind(consumer, first, fetched_of=self._fetched_of)
            return {}
        return records

    async def rewind(self, offsets: Mapping[Any, int]) -> None:
        """See `EvenpostConsumer.rewind`; runs in this thread."""
        rewinding.rewind(self._ensure_consumer(), offsets, fetched_of=self._fetched_of)

    async def seek_to_committed(self) -> Mapping[Any, Any]:
        """As Faust's, but where nothing is committed it is the head."""
        return dict(await self.call_thread(rewinding.to_committed, self._ensure_consumer()))

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
