"""From what aiokafka fetched to the agents' channels: Faust's consumer as fast as it can be (FAUST.md 18).

1. `getmany` turns one fetch into Faust's messages, partitions in turn, and ends where a rebalance begins.
2. `_drain_messages` gives each to its topic's channels, in one turn of the event loop while the flow is active.
3. What is not handed over is rewound to (`rewinding`): aiokafka's position is past it, and a later record would be
   committed past it too.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import chain
from typing import Any, Final

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP, ConsumerMessage

from streams.runtime.transport import rewinding

# Seconds that a fetch waits for news of some partitions while others are full.
FULL_S: Final = 0.05


class DrainingConsumer(Consumer):
    """Stock Faust makes four tasks a record; this makes none."""

    def _reset_state(self) -> None:
        super()._reset_state()
        self._held: set[TP] = set()
        self._room = asyncio.Event()  # something that was full may be fetched again

    def hold(self, tp: TP) -> None:
        """Fetch nothing of this partition until `let_go`, or until there is another assignment."""
        self._held.add(tp)
        self.on_buffer_full(tp)

    def let_go(self, tp: TP) -> None:
        """Fetch it again."""
        self._held.discard(tp)
        self.on_buffer_drop(tp)

    def on_buffer_drop(self, tp: TP) -> None:
        """Fetch it again, unless it is held: Faust says so where its own queues, before the owners', have room."""
        if tp not in self._held:
            super().on_buffer_drop(tp)
            self._room.set()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget the assignment before: what was full, and what was read, where a revocation cut a record off too."""
        self._held.clear()
        self._buffered_partitions.clear()
        self._room.set()
        for tp in assigned:
            self._read_offset.pop(tp, None)
        await super().on_partitions_assigned(assigned, generation_id)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109  # Faust's signature
        """What one fetch brought; where the flow stopped meanwhile it is dropped, and fetched again.

        As Faust's, without what that does with each record for its monitor: a look at the partition's end.  Faust seeks
        to what is committed, here: owners of an assignment that stands would get once more what they have begun.
        """
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        fetched = self.scheduler.iterate(records)
        if not self.flow_active:
            await self._drop(fetched)
            return
        app = self.app
        generation = app.consumer_generation_id
        unwanted: list[tuple[TP, Any]] = []  # aiokafka takes an empty set of partitions for all of them
        for tp, record in fetched:
            if not self.flow_active or app.consumer_generation_id != generation:
                unwanted.append((tp, record))
                break
            if active is None or tp in active or tp in self._buffered_partitions:
                yield tp, _message(tp, record, generation)
            else:
                unwanted.append((tp, record))
        await self._drop(chain(unwanted, fetched))

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's signature
        """As Faust's, but awake when a partition that was full may be fetched again.

        Faust sleeps for a second where all are full, and for as long in a fetch of the others where some are: an owner
        that works off its last thousand events in less stood still meanwhile.
        """
        while self._buffered_partitions and not self._get_active_partitions():
            self._room.clear()
            await self.wait_first(self._room.wait(), self.suspend_flow.wait(), timeout=timeout)
            if self.should_stop or not self.flow_active:
                break
        return await super()._wait_next_records(FULL_S if self._buffered_partitions else timeout)

    async def _drop(self, records: Iterable[tuple[TP, Any]]) -> None:
        """Have these fetched again, where their assignment stands; a consumer that ends fetches nothing again."""
        if not self.should_stop and (offsets := rewinding.firsts(records)):
            await self.rewind(offsets)

    async def rewind(self, offsets: Mapping[Any, int]) -> None:
        """Move the positions back, before anything is fetched again."""
        raise NotImplementedError

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
                    elif not await self._handed_over(message):
                        await self._drop([(tp, message)])
                        continue
                    if message.generation_id == self.app.consumer_generation_id:
                        self._read_offset[tp] = message.offset
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _handed_over(self, message: ConsumerMessage) -> bool:
        """Hand over, unless the flow stops first; whether it was."""
        handing = asyncio.ensure_future(self.callback(message))
        await self.wait_first(handing, self.suspend_flow.wait())
        return handing.done() and not handing.cancelled()


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
