"""What the consumer commits, at a real broker: the ledger's prefix, again after a failure, and all of it when asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from faust.types import TP

from streams.runtime import metrics
from streams.runtime.app import EvenpostApp
from streams.runtime.partition.ownership import Ownership
from streams.runtime.settings import Settings
from tests.runtime.builders import deployed
from tests.runtime.transport.members import TOPIC, member, until_true


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """Two partitions; commits come when a test asks, not by themselves in between."""
    return deployed(kafka_bootstrap, topic_prefix, tmp_path)


def committed(settings: Settings, group: str, partition: int = 0) -> int:
    """What the group's coordinator says."""
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap, "group.id": group})
    try:
        return int(consumer.committed([TopicPartition(settings.topic(TOPIC), partition)], 30)[0].offset)
    finally:
        consumer.close()


def finished(app: EvenpostApp, *offsets: int, partition: int = 0) -> None:
    """Take and finish these events."""
    for offset in offsets:
        app.ledger.take(app.settings.topic(TOPIC), partition, offset)
        app.ledger.done(app.settings.topic(TOPIC), partition, offset)


async def test_3_a_failed_commit_is_not_recorded_and_tried_again(settings: Settings) -> None:
    """The coordinator refuses a stale generation; the failure is counted, and the next interval commits."""
    failures = metrics.COMMIT_FAILURES._value.get()
    async with member(settings, "one", instance="one") as app:
        coordinator = app.consumer._thread._consumer._coordinator
        finished(app, 0, 1, 2)
        coordinator.generation += 7
        assert not await app.consumer.commit()
        assert app.ledger.committable() or app.consumer_generation_id > 1  # the latter: aiokafka joined again by itself
        assert metrics.COMMIT_FAILURES._value.get() > failures
        await until_true(lambda: app.consumer._thread.assigned and not app.ledger.committable(), "a commit")
        assert await asyncio.to_thread(committed, settings, app.conf.id) == 3


async def test_a_commit_that_meets_another_commits_what_was_done_since(settings: Settings) -> None:
    """Stock Faust waits for the one under way and does nothing: a release would give done events out again."""
    async with member(settings, "one") as app:
        lock = app.consumer._thread._consumer._coordinator._commit_lock  # held: the first commit can't end
        await app.consumer._in_thread(lock.acquire)
        finished(app, 0)
        first = asyncio.create_task(app.consumer.commit())
        await until_true(lambda: app.consumer._commit_fut is not None, "a commit under way")
        finished(app, 1, 2)
        second = asyncio.create_task(app.consumer.commit())
        await asyncio.sleep(0.05)
        app.consumer._thread.thread_loop.call_soon_threadsafe(lock.release)
        await first
        await second
        assert await asyncio.to_thread(committed, settings, app.conf.id) == 3


async def test_2_a_release_commits_before_it_drops(settings: Settings) -> None:
    """What an owner finishes when its partition is revoked is committed, then forgotten (FAUST.md 2)."""

    class Finishing:
        """Its one event is under way until it is told to stop."""

        def __init__(self, partition: int) -> None:
            self.partition = partition

        async def run(self) -> None:
            app.ledger.take(app.settings.topic(TOPIC), self.partition, 41)

        async def stop(self) -> None:
            await asyncio.sleep(0.05)
            app.ledger.done(app.settings.topic(TOPIC), self.partition, 41)

        ready = True

        def positions(self) -> None:
            """The ledger's to know."""

        def put(self, message: object) -> None:
            """Nothing is consumed here."""

        def backlog(self, topic: str) -> int:
            return 0

    async with member(settings, "one") as app:
        ownership = Ownership(app, Finishing)
        await ownership._assigned({TP(settings.topic(TOPIC), 0), TP(settings.topic(TOPIC), 1)})
        await until_true(lambda: app.ledger.first_open(settings.topic(TOPIC), 1) == 41, "an event under way")
        await app.consumer.rejoin()
        await until_true(lambda: app.consumer_generation_id == 2, "another assignment")
        for partition in (0, 1):
            assert await asyncio.to_thread(committed, settings, app.conf.id, partition) == 42
        assert app.ledger.committable() == {}
