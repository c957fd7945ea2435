"""The hardened consumer: how quickly fetched records reach their stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.runtime.app import make_app
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.transport.draining import FULL_S

RECORDS = 500
PARTITION = TP("t.sends.marketing", 0)


async def turns_to_drain(tmp_path: Path, *, suspended: bool = False) -> tuple[int, list[int]]:
    """Turns of the event loop until a fetch of RECORDS was handed over, and the offsets that were."""
    app = make_app(
        "sender", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")), member="sender-0"
    )
    taken: list[int] = []

    async def callback(message: Any) -> None:
        taken.append(message.offset)

    consumer = app.transport.create_consumer(callback, on_partitions_revoked=None, on_partitions_assigned=None)
    stopped = asyncio.Event()  # what stock Faust looks at
    fetcher = SimpleNamespace(should_stop=False, _stopped=stopped)

    async def fetched(**_: float) -> AsyncIterator[tuple[TP, Any]]:
        for offset in range(RECORDS):
            yield (
                PARTITION,
                SimpleNamespace(
                    offset=offset, topic=PARTITION.topic, key=b"", value=b"", generation_id=app.consumer_generation_id
                ),
            )
        fetcher.should_stop = True
        stopped.set()

    consumer.getmany = fetched
    consumer.resume_flow()
    if not suspended:
        app.flow_control.resume()
    draining = asyncio.create_task(consumer._drain_messages(fetcher))
    turns = 0
    while not draining.done():
        await asyncio.sleep(0)
        turns += 1
    await draining
    consumer._thread.thread_loop.close()
    return turns, taken


async def test_a_fetch_is_handed_over_in_a_few_turns_of_the_loop(tmp_path: Path) -> None:
    """Each turn of a busy sender's loop takes a second's part: stock Faust needs several for each record."""
    turns, taken = await turns_to_drain(tmp_path)
    assert taken == list(range(RECORDS))
    assert turns < 10


async def test_a_fetch_while_streams_are_held_is_handed_over_whole(tmp_path: Path) -> None:
    """Before streams may work (a rebalance) the slower way is taken, and nothing is lost."""
    turns, taken = await turns_to_drain(tmp_path, suspended=True)
    assert taken == list(range(RECORDS))
    assert turns > RECORDS


async def test_19_a_held_partition_stays_held_when_fausts_queue_has_room(tmp_path: Path) -> None:
    """Faust's queues lie before an owner's inbox: that they are empty says nothing of the inbox."""
    app = make_app(
        "sender", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")), member="sender-0"
    )
    consumer: Any = app.consumer
    other = TP("t.sends.transactional", 0)
    consumer._set_active_tps({PARTITION, other})
    consumer.hold(PARTITION)
    consumer.on_buffer_full(PARTITION)
    consumer.on_buffer_full(other)
    consumer.on_buffer_drop(PARTITION)
    consumer.on_buffer_drop(other)
    assert consumer._get_active_partitions() == {other}
    consumer.let_go(PARTITION)
    assert consumer._get_active_partitions() == {PARTITION, other}
    consumer._thread.thread_loop.close()


async def test_why_an_assignment_is_not_confirmed_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However many owners ask however often; another reason is told as well, the first one not again."""
    app = make_app("gate", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")), member="gate-0")
    consumer: Any = app.consumer
    there = consumer._thread.thread_loop
    for _ in range(2):
        there.close()
        assert not any(await asyncio.gather(*(consumer.confirmed() for _ in range(12))))
        consumer._thread.thread_loop = None
        assert not await consumer.confirmed()
        consumer._thread.thread_loop = there
    told = [record.getMessage() for record in caplog.records if "Assignment not confirmed" in record.getMessage()]
    assert ["Event loop is closed" in line for line in told] == [True, False]


async def test_a_partition_that_is_let_go_is_fetched_at_once_where_all_were_held(tmp_path: Path) -> None:
    """Stock Faust sleeps for a second then, and waits as long in a fetch of the others: 50 ms here."""
    app = make_app("gate", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")), member="gate-0")
    consumer: Any = app.consumer
    other = TP("t.recipients.marketing", 1)
    asked: list[tuple[set[TP], float]] = []

    async def fetch(active_partitions: set[TP], timeout: float) -> dict[TP, Any]:  # noqa: ASYNC109  # Faust's signature
        asked.append((set(active_partitions), timeout))
        return {}

    consumer._getmany = fetch
    consumer.resume_flow()
    consumer._set_active_tps({PARTITION, other})
    consumer.hold(PARTITION)
    consumer.hold(other)
    waiting = asyncio.create_task(consumer._wait_next_records(1.0))
    await asyncio.sleep(0.05)
    assert not asked and not waiting.done()
    began = time.monotonic()
    consumer.let_go(other)
    await waiting
    assert time.monotonic() - began < 0.2
    assert asked == [({other}, FULL_S)]
    consumer.let_go(PARTITION)
    await consumer._wait_next_records(1.0)
    assert asked[1] == ({PARTITION, other}, 1.0)
    consumer._thread.thread_loop.close()
