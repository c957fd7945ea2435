"""Our producer at a real broker: what a future says, what a full queue does, and life after a fatal error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from schemas import topics
from streams.runtime import metrics
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings
from tests.runtime.builders import deployed, read

JOURNAL = topics.JOURNAL.name
NARROW = "narrow"


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment, and a topic that takes records of a kilobyte only."""
    deployment = deployed(kafka_bootstrap, topic_prefix, tmp_path)
    narrow = NewTopic(deployment.topic(NARROW), 1, config={"max.message.bytes": "1024"})
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for made in admin.create_topics([narrow]).values():
        made.result(30)
    return deployment


@asynccontextmanager
async def producing(settings: Settings, **more: Any) -> AsyncIterator[RecordProducer]:
    """A producer, closed at the end."""
    producer = RecordProducer(settings.kafka, client_id="test", **more)
    try:
        yield producer
    finally:
        await asyncio.to_thread(producer.close)


def sample(counter: Any, *labels: str) -> float:
    """What a counter says now."""
    return float((counter.labels(*labels) if labels else counter)._value.get())


async def test_a_full_queue_makes_send_wait_and_loses_nothing(settings: Settings) -> None:
    """200 records through a queue of 20: each arrives once, in order, and the waits are counted."""
    waits, outputs = sample(metrics.PRODUCER_WAITS), sample(metrics.OUTPUTS, JOURNAL)
    async with producing(settings, queue_buffering_max_messages=20) as producer:
        sent = [await producer.send(settings.topic(JOURNAL), b"%d" % n, partition=0) for n in range(200)]
        assert producer.pending <= 20
        assert await asyncio.gather(*sent) == list(range(200))
    assert [message.value() for message in read(settings, JOURNAL)] == [b"%d" % n for n in range(200)]
    assert sample(metrics.PRODUCER_WAITS) > waits
    assert sample(metrics.OUTPUTS, JOURNAL) == outputs + 200


async def test_flush_returns_when_each_record_has_its_report(settings: Settings) -> None:
    """Records that gather for a second are under way still when stock Faust's flush has given up (FAUST.md 8)."""
    async with producing(settings, linger_ms=1_000) as producer:
        sent = [await producer.send(settings.topic(JOURNAL), b"x", partition=1) for _ in range(50)]
        assert not any(future.done() for future in sent)
        await producer.flush()
        assert all(future.done() for future in sent)
        assert producer.pending == 0


async def test_a_record_that_the_broker_refuses_is_its_futures_error(settings: Settings) -> None:
    """The others are delivered, and the failure is counted."""
    failures = sample(metrics.PRODUCE_FAILURES)
    async with producing(settings, compression_type="none") as producer:
        good = await producer.send(settings.topic(NARROW), b"x", partition=0)
        await good
        bad = await producer.send(settings.topic(NARROW), b"x" * 5_000, partition=0)
        with pytest.raises(KafkaException) as refused:
            await bad
        assert refused.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        larger_than_any = await producer.send(settings.topic(NARROW), b"x" * 9_000_000, partition=0)
        with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
            await larger_than_any
        assert await (await producer.send(settings.topic(NARROW), b"y", partition=0)) == 1
    assert sample(metrics.PRODUCE_FAILURES) == failures + 2


async def test_after_a_fatal_error_the_next_record_goes_to_a_new_client(settings: Settings) -> None:
    """What the old one held fails with an error, nothing hangs, and production goes on."""
    # A gap in the series is fatal under this setting: the shortest way to a real fatal error of librdkafka's.
    async with producing(settings, compression_type="none", enable_gapless_guarantee=True) as producer:
        bad = await producer.send(settings.topic(NARROW), b"x" * 5_000, partition=0)
        behind = [await producer.send(settings.topic(NARROW), b"behind", partition=0) for _ in range(3)]
        fates = await asyncio.wait_for(asyncio.gather(bad, *behind, return_exceptions=True), 30)
        assert isinstance(fates[0], KafkaException)
        first = producer._client
        async with asyncio.timeout(30):
            while producer._client is first:
                sent = await producer.send(settings.topic(NARROW), b"after", partition=0)
                await asyncio.wait([sent])
        assert sent.exception() is None
    assert any(message.value() == b"after" for message in read(settings, NARROW))


async def test_a_key_goes_where_java_puts_it(settings: Settings) -> None:
    """murmur2, as aiokafka and Java do: a person's records meet in one partition whoever produced them."""
    async with producing(settings) as producer:
        topic = settings.topic(topics.SUPPRESSIONS.name)
        assert producer.partitions(topic, 10) == 8
        places = [await producer.offer(topic, b"", key=b"k%d" % n, read=lambda m: m.partition()) for n in range(5)]
    assert places == [murmur2_place(b"k%d" % n, 8) for n in range(5)]


def murmur2_place(key: bytes, partitions: int) -> int:
    """As aiokafka's default partitioner says."""
    return int(DefaultPartitioner()(key, list(range(partitions)), list(range(partitions))))


async def test_a_record_that_can_not_even_be_handed_over_is_its_futures_error(settings: Settings) -> None:
    """Refused for what it is, beside others that go; confluent-kafka would end the process over the header's name."""
    async with producing(settings) as producer:
        topic = settings.topic(JOURNAL)
        wrong: Any = 5
        futures = [
            await producer.send(topic, wrong, partition=0),
            await producer.send(topic, b"v", partition=0, headers={"\ud800": b"v"}),
            await producer.send(topic, b"good", partition=0),
        ]
        *bad, good = await asyncio.gather(*futures, return_exceptions=True)
    assert good == 0
    assert all(isinstance(error, KafkaException) for error in bad)
    assert {error.args[0].code() for error in bad if isinstance(error, KafkaException)} == {KafkaError._INVALID_ARG}
