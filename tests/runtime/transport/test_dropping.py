"""What was fetched and then dropped is fetched again, from its first record on: a rebalance passes nothing over."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from streams.runtime.settings import Settings
from tests.runtime.builders import deployed
from tests.runtime.transport.members import TOPIC, member, until_true

ROUNDS = 8
RECORDS = 2_000
# Faust asks aiokafka for records in calls of at most this long.
POLL_S = 1.0


def produced(settings: Settings, records: int) -> None:
    """Records of partition 0 and 1 in turn."""
    upstream = Producer({"bootstrap.servers": settings.kafka.bootstrap, "linger.ms": 20})
    for number in range(records):
        upstream.produce(settings.topic(TOPIC), b"x", partition=number % 2)
    assert upstream.flush(30) == 0


async def test_what_is_fetched_while_the_flow_stops_comes_when_it_goes_on(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Each record once and in order, though nothing is committed that could be sought to."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, session_timeout_s=45.0)
    await asyncio.to_thread(produced, settings, 20)
    taken: list[tuple[int, int]] = []
    async with member(settings, "one", take=lambda m: taken.append((m.partition, m.offset))) as one:
        for stops in range(1, 4):
            await until_true(lambda n=stops: len(taken) >= 20 * n, f"{20 * stops} records")
            one.consumer.stop_flow()
            await asyncio.to_thread(produced, settings, 20)
            await asyncio.sleep(POLL_S)
            assert len(taken) == 20 * stops
            one.consumer.resume_flow()
        await until_true(lambda: len(taken) >= 80, "all records")
    for partition in (0, 1):
        assert [offset for number, offset in taken if number == partition] == list(range(40))


async def test_where_nothing_is_committed_each_assignment_begins_at_the_head(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A fetch under way at a revocation drains the next assignment's records before its flow is on."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, session_timeout_s=45.0)
    await asyncio.to_thread(produced, settings, RECORDS)
    first: dict[tuple[int, int], int] = {}
    last: dict[tuple[int, int], int] = {}
    done = threading.Event()

    def go_on() -> None:  # so that there is always a fetch under way
        while not done.wait(0.02):
            produced(settings, 2)

    def take(message: Any) -> None:
        at = message.generation_id, message.partition
        first.setdefault(at, message.offset)
        last[at] = message.offset

    def all_read(number: int) -> bool:
        return all(last.get((number, partition), 0) >= RECORDS // 2 for partition in (0, 1))

    upstream = threading.Thread(target=go_on)
    upstream.start()
    try:
        async with member(settings, "one", take=take) as one:
            for _ in range(ROUNDS):
                number = one.consumer_generation_id
                await until_true(lambda n=number: all_read(n), f"records of assignment {number}")
                assert await one.consumer.rejoin()
                await until_true(lambda n=number: one.consumer_generation_id != n, "another assignment")
    finally:
        done.set()
        upstream.join()
    assert len(first) >= 2 * ROUNDS
    assert {at: offset for at, offset in first.items() if offset > 0} == {}
