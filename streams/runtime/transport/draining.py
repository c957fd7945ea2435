"""From what aiokafka fetched to the agents' channels: Faust's consumer as fast as it can be (FAUST.md 18).

1. `getmany` turns one fetch into Faust's messages, partitions in turn, and ends where a rebalance begins.
2. `_drain_messages` gives each to its topic's channels, in one turn of the event loop while the flow is active.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP, ConsumerMessage


class DrainingConsumer(Consumer):
    """Stock Faust makes four tasks a record; this makes none."""

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109  # Faust's signature
        """What one fetch brought; where the flow stopped meanwhile it is dropped, and fetched again.

        As Faust's, without what that does with each record for its monitor: a look at the partition's end.
        """
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            try:
                await self.perform_seek()
            except KafkaError as error:
                self.log.warning("No seek to what is committed: %r", error)
            return
        app = self.app
        generation = app.consumer_generation_id
        for tp, record in self.scheduler.iterate(records):
            if not self.flow_active or app.consumer_generation_id != generation:
                return
            if active is None or tp in active or tp in self._buffered_partitions:
                yield tp, _message(tp, record, generation)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand over what was fetched.

        Stock Faust yields each hundred records as well: a sender whose loop is busy would take records as slowly as it
        sends, and a transactional send is ahead of marketing only once its slot has it.
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


def _message(tp: TP, record: Any, generation: int) -> ConsumerMessage:
    return ConsumerMessage(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp / 1000.0,
        record.timestamp_type,
        record.headers,
        record.key,
        record.value,
        record.checksum,
        record.serialized_key_size,
        record.serialized_value_size,
        tp,
        generation_id=generation,
    )
