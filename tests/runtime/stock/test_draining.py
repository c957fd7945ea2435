"""How stock Faust 0.15.3 hands records over, and when it does not (FAUST.md 18, 19)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from tests.runtime.stock.apps import PLACE, message, stock_app

RECORDS = 200


async def test_18_stock_makes_tasks_for_each_record() -> None:
    """Several turns of the event loop a record, where ours takes a few for a whole fetch."""
    with stock_app() as app:
        taken: list[int] = []

        async def callback(record: Any) -> None:
            taken.append(record.offset)

        consumer = app.transport.create_consumer(callback, on_partitions_revoked=None, on_partitions_assigned=None)
        stopped = asyncio.Event()

        async def fetched(**_: float) -> AsyncIterator[tuple[TP, Any]]:
            for offset in range(RECORDS):
                yield PLACE, message(offset)
            stopped.set()

        consumer.getmany = fetched
        consumer.resume_flow()
        draining = asyncio.create_task(consumer._drain_messages(SimpleNamespace(_stopped=stopped)))
        turns = 0
        while not draining.done():
            await asyncio.sleep(0)
            turns += 1
        await draining
        consumer._thread.thread_loop.close()
    assert taken == list(range(RECORDS))
    assert turns > RECORDS


async def test_19_stock_has_one_queue_for_all_partitions() -> None:
    """Full of one partition's records, it takes none of another's: the fetcher's one task stands still."""
    with stock_app(stream_buffer_maxsize=4) as app:
        app.flow_control.resume()
        channel = app.topic("t.events", key_serializer="raw", value_serializer="raw").clone(is_iterator=True)
        handlers = {
            number: app.topics._compiler.build(app.topics, TP("t.events", number), {channel}) for number in (0, 1)
        }
        offset = 0
        while not channel.queue.full():
            await asyncio.wait_for(handlers[0](message(offset)), 5)
            offset += 1
        other = asyncio.ensure_future(handlers[1](message(0, partition=1)))
        await asyncio.sleep(0.1)
        assert not other.done()
        channel.queue.get_nowait()
        await asyncio.wait_for(other, 5)


async def test_stock_takes_an_earlier_assignments_records_for_fresh() -> None:
    """Not in FAUST.md: it numbers assignments by Kafka's generation, and a static member may be given one twice."""
    with stock_app() as app:
        thread = app.consumer._thread
        thread._consumer = SimpleNamespace(_coordinator=SimpleNamespace(generation=3))
        listener = app.consumer.RebalanceListener(thread)
        thread.on_partitions_assigned = told = AsyncList()
        before = message(0, generation=3)
        for _ in range(2):
            await listener.on_partitions_assigned({PLACE})
        assert [generation for _, generation in told] == [3, 3]
        assert before.generation_id == app.consumer_generation_id


async def test_stock_resumes_no_flow_again_once_a_seek_took_too_long() -> None:
    """Not in FAUST.md: a broker away for 90 s after an assignment ends, for good, the task that resumes the flow."""
    with stock_app(broker_request_timeout=0.01) as app:
        recovery, asked, never = app.tables.recovery, list[int](), asyncio.Event()

        async def seeking(generation_id: int = 0) -> None:
            asked.append(generation_id)
            await recovery._wait(never.wait(), timeout=app.conf.broker_request_timeout)

        recovery._resume_streams = seeking
        recovery.signal_recovery_start.set()
        async with asyncio.timeout(5):
            await recovery._restart_recovery.fun(recovery)
        assert asked == [0]
        assert not recovery.should_stop and recovery.crash_reason is None


class AsyncList(list[Any]):
    """Notes what it is called with."""

    async def __call__(self, *given: Any) -> None:
        """Note it."""
        self.append(given)
