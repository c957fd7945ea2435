"""After an assignment the flow goes on, however long the broker is away at that moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiokafka
import pytest
from aiokafka.errors import IllegalStateError
from faust.exceptions import AlreadyConfiguredWarning

from streams.runtime.embedded import EmbeddedKafka
from streams.runtime.transport import rewinding
from tests.runtime.builders import deployed
from tests.runtime.transport.members import member, until_true
from tests.runtime.transport.test_dropping import produced

# Of Faust's wait for the committed offsets: shorter than any broker's restart, where it is 90 s by default.
FAUSTS_LIMIT_S = 0.2


@pytest.mark.integration
@pytest.mark.timeout(300)  # a broker that starts twice; on a busy machine 30 s each
async def test_a_broker_that_goes_away_right_after_an_assignment_is_waited_for(
    topic_prefix: str, tmp_path: Path
) -> None:
    """Longer than Faust waits: then the records of that assignment come, and those of the next one."""
    broker = EmbeddedKafka(tmp_path / "kafka")
    settings = deployed(await asyncio.to_thread(broker.start), topic_prefix, tmp_path, session_timeout_s=45.0)
    port = int(broker.bootstrap.rpartition(":")[2])
    taken: list[int] = []
    try:
        async with member(settings, "one", take=lambda message: taken.append(message.offset)) as one:
            await until_true(lambda: one.consumer.flow_active, "a flow")
            killed = asyncio.Event()

            async def kill(*_: Any, **__: Any) -> None:  # between the assignment and the seek to what is committed
                if not killed.is_set():
                    with pytest.warns(AlreadyConfiguredWarning):
                        one.conf.broker_request_timeout = FAUSTS_LIMIT_S
                    await asyncio.to_thread(broker.kill)
                    killed.set()

            one.on_rebalance_complete.connect(kill, weak=False)
            assert await one.consumer.rejoin()
            await until_true(killed.is_set, "an assignment")
            broker = EmbeddedKafka(tmp_path / "kafka", port=port)
            await asyncio.to_thread(broker.start)
            await asyncio.to_thread(produced, settings, 20)
            await until_true(lambda: len(taken) == 20, "20 records")
            number = one.consumer_generation_id
            assert await one.consumer.rejoin()
            await until_true(lambda: one.consumer_generation_id != number, "another assignment")
            await asyncio.to_thread(produced, settings, 20)
            await until_true(lambda: set(taken) == set(range(20)), "20 more")
    finally:
        await asyncio.to_thread(broker.stop)


async def test_a_wait_for_what_is_committed_ends_with_its_assignment() -> None:
    """It moves nothing of the next one, and asks no more: aiokafka's thread has two places for calls that wait."""
    place = aiokafka.TopicPartition("t", 0)
    asking, ended = asyncio.Event(), asyncio.Event()

    async def away(_: Any) -> None:
        asking.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers="127.0.0.1:9")
    try:
        consumer.assign([place])
        consumer._coordinator = SimpleNamespace(fetch_committed_offsets=away)
        seeking = asyncio.create_task(rewinding.to_committed(consumer))
        async with asyncio.timeout(5):
            await asking.wait()
            consumer.assign([place])
            with pytest.raises(IllegalStateError):
                await seeking
            await ended.wait()
        assert not rewinding.assignment(consumer).state_value(place).has_valid_position
    finally:
        consumer._coordinator = None
        await consumer.stop()
