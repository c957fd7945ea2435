"""Faust's consumer on aiokafka, committing what the ledger says and nothing else (FAUST.md 1-5, 12, 13, 21).

Stock Faust derives offsets from acks; here agents report to `app.ledger`, topics are declared with `acks=False`, and
every road by which Faust commits (timer, rebalance, stop) ends in `force_commit` below.
"""

import asyncio
from typing import Any

import aiokafka
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport, server_list
from faust.types import TP

from streams.runtime.clients import aiokafka_security
from streams.runtime.transport.ledger import Ledger

# A fetch waits this long for its first byte.  Data answers at once; it only bounds how stale an empty answer is.
FETCH_WAIT_MS = 250
# A broker that has just started answers for topics whose leaders it does not know yet as if they had no partitions.  A
# group that is balanced at that moment owns nothing until its leader looks at the topics again: aiokafka's 5 minutes.
METADATA_AGE_MS = 3_000


class EvenpostConsumerThread(AIOKafkaConsumerThread):
    """The thread that runs aiokafka: our assignor, committed records only."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
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

    async def _commit(self, offsets: Any) -> bool:
        """Commit, or say that it did not happen: a failure is tried again at the next interval (FAUST.md 3)."""
        consumer = self._ensure_consumer()
        wanted = {
            aiokafka.TopicPartition(tp.topic, tp.partition): offset
            for tp, offset in offsets.items()
            if TP(tp.topic, tp.partition) in self.assignment()
        }
        if not wanted:
            return False
        try:
            await consumer.commit(wanted)
        except aiokafka.errors.KafkaError as error:
            self.log.warning("Commit failed, will be tried again: %r", error)
            return False
        return True


class EvenpostConsumer(Consumer):
    """Faust's consumer: what may be committed comes from the ledger."""

    def _new_consumer_thread(self) -> EvenpostConsumerThread:
        return EvenpostConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand over what was fetched, in one turn of the event loop while the flow is active (FAUST.md 18).

        Stock Faust makes four tasks a record and yields each hundred: a sender whose loop is busy would take records
        as slowly as it sends, and a transactional send is ahead of marketing only once its slot has it.
        """
        flow = self.app.flow_control
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self.sleep(0)
                async for tp, message in self.getmany(timeout=1.0):
                    read = self._read_offset[tp]
                    if read is not None and message.offset < read:
                        continue
                    if self.flow_active and flow.is_active():
                        await self.callback(message)
                    else:
                        await self.wait_first(self.callback(message), self.suspend_flow.wait())
                    self._read_offset[tp] = message.offset
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit each partition's contiguous prefix of done events."""
        del topics, start_new_transaction
        ledger: Ledger = _ours(self.app).ledger
        offsets = ledger.committable()
        if not offsets or not await self._commit({TP(*tp): offset for tp, offset in offsets.items()}):
            return False
        ledger.committed(offsets)
        return True


class EvenpostTransport(Transport):
    """The transport that an app of ours uses."""

    Consumer = EvenpostConsumer


def _ours(app: Any) -> Any:
    """The app as ours: Faust's own types don't know what `EvenpostApp` adds."""
    return app
