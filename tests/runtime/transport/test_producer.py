"""Plain Faust agents' sends: they go through our producer, and Faust's own is never started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from confluent_kafka import KafkaException

from schemas import topics
from streams.runtime.app import EvenpostApp, make_app
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings
from streams.runtime.transport.producer import EvenpostProducer
from tests.runtime.builders import deployed, read

JOURNAL = topics.JOURNAL.name


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of two slots."""
    return deployed(kafka_bootstrap, topic_prefix, tmp_path)


@asynccontextmanager
async def sending(settings: Settings) -> AsyncIterator[EvenpostApp]:
    """An app of which only the producer is started."""
    app = make_app("feedback", settings, member="feedback-0")
    producer = await app.maybe_start_producer()
    try:
        yield app
    finally:
        await producer.stop()
        app.consumer._thread.thread_loop.close()


async def test_an_agents_send_is_a_record_of_our_producer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key, value, headers, partition and offset arrive; aiokafka's producer would raise if it was made (FAUST.md 9)."""
    monkeypatch.setattr(aiokafka.AIOKafkaProducer, "__init__", None)
    async with sending(settings) as app:
        topic = app.source(JOURNAL)
        sent = await (await topic.send(key=b"k", value=b"one", partition=1, headers={"h": b"v"}))
        assert (sent.topic, sent.partition, sent.offset) == (settings.topic(JOURNAL), 1, 0)
        soon = topic.send_soon(key=b"k", value=b"two", partition=1)
        assert (await soon).offset == 1
        assert isinstance(app.producer, EvenpostProducer)
    found = [(m.key(), m.value(), m.headers()) for m in read(settings, JOURNAL)]
    assert found == [(b"k", b"one", [("h", b"v")]), (b"k", b"two", None)]


async def test_a_send_that_fails_raises_in_the_agent(settings: Settings) -> None:
    """Stock Faust logs an error of a buffered record; here each future has it."""
    async with sending(settings) as app:
        topic = app.source("no-such-topic")
        app.producer._records = RecordProducer(settings.kafka, client_id="t", topic_metadata_propagation_max_ms=100)
        soon = topic.send_soon(value=b"x")
        with pytest.raises(KafkaException, match=r"UNKNOWN_TOPIC|UNKNOWN_PARTITION"):
            await (await topic.send(value=b"x"))
        with pytest.raises(KafkaException, match=r"UNKNOWN_TOPIC|UNKNOWN_PARTITION"):
            await soon


async def test_send_soon_keeps_what_a_full_queue_does_not_take(settings: Settings) -> None:
    """In order, and consumption waits until it is handed over (FAUST.md 20)."""
    async with sending(settings) as app:
        app.producer._records = RecordProducer(settings.kafka, client_id="t", queue_buffering_max_messages=10)
        topic = app.source(JOURNAL)
        soon: list[Any] = [topic.send_soon(value=b"%d" % n, partition=0) for n in range(100)]
        assert app.producer.buffer.size == 90
        await app.producer.buffer.wait_until_ebb()
        assert app.producer.buffer.size == 0
        last = await (await topic.send(value=b"100", partition=0))
        assert [(await future).offset for future in soon] == list(range(100))
        assert last.offset == 100
    assert [m.value() for m in read(settings, JOURNAL)] == [b"%d" % n for n in range(101)]


async def test_stopping_waits_for_each_report(settings: Settings) -> None:
    """What an agent handed over is in Kafka when the app has stopped (FAUST.md 8)."""
    async with sending(settings) as app:
        app.producer._records = RecordProducer(settings.kafka, client_id="t", linger_ms=500)
        soon = [app.source(JOURNAL).send_soon(value=b"x", partition=0) for _ in range(20)]
        await asyncio.sleep(0)
        assert not any(future.done() for future in soon)
    assert all(future.done() for future in soon)
    assert len(read(settings, JOURNAL)) == 20


async def test_a_key_has_the_partition_that_librdkafka_gives_it(settings: Settings) -> None:
    """Faust asks before it sends (tables' changelogs): both must say the same."""
    async with sending(settings) as app:
        topic = app.topic(settings.topic(topics.SUPPRESSIONS.name), key_serializer="raw", value_serializer="raw")
        for key in (b"a", b"tenant:1", b"\x00\xff"):
            asked = app.producer.key_partition(topic.get_topic_name(), key).partition
            assert (await (await topic.send(key=key, value=b""))).partition == asked
