"""A topic read from a moment on: nothing older, nothing missed, and how far that is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer

from schemas.topics import DELIVERIES
from streams.runtime.following import Following
from streams.runtime.settings import Settings
from tests.runtime.builders import LIMIT_S, deployed

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment with two slots."""
    return deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")


def write(settings: Settings, *records: tuple[int, bytes, datetime], producer: Producer | None = None) -> None:
    """Records as (partition, value, time)."""
    given = producer or Producer({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
    for partition, value, at in records:
        given.produce(settings.topic(DELIVERIES.name), value, partition=partition, timestamp=int(at.timestamp() * 1000))
    assert given.flush(30) == 0


def read(following: Following, count: int) -> list[Message]:
    """So many records."""
    found: list[Message] = []
    deadline = time.monotonic() + LIMIT_S
    while len(found) < count:
        assert time.monotonic() < deadline, found
        found += following.read(0.2)
    return found


def test_it_begins_at_the_moment_and_misses_nothing_after(settings: Settings) -> None:
    """Of one partition the younger records, of one without any what comes from now on, whatever its time."""
    write(settings, (0, b"old", NOW - 2 * HOUR), (0, b"young", NOW - HOUR), (1, b"old", NOW - 3 * HOUR))
    following = Following(settings, DELIVERIES, since=NOW - HOUR, client_id="test")
    try:
        write(settings, (1, b"late", NOW - 2 * HOUR), (0, b"now", NOW))
        assert {message.value() for message in read(following, 3)} == {b"young", b"late", b"now"}
    finally:
        following.close()


def test_it_says_up_to_when_all_was_read(settings: Settings) -> None:
    """The beginning, until the ends are known; then now."""
    write(settings, (0, b"1", NOW - HOUR), (1, b"2", NOW - HOUR / 2))
    following = Following(settings, DELIVERIES, since=NOW - 2 * HOUR, client_id="test")
    try:
        assert following.reached(NOW) == NOW - 2 * HOUR
        read(following, 2)
        deadline = time.monotonic() + LIMIT_S
        while following.reached(NOW) < NOW:
            assert time.monotonic() < deadline
            following.read(0.2)
    finally:
        following.close()


def test_what_was_aborted_is_never_read(settings: Settings) -> None:
    """Deliveries count when their transaction is committed."""
    producer = Producer(
        {"bootstrap.servers": settings.kafka.bootstrap, "transactional.id": settings.kafka.prefix, "log_level": 0}
    )
    producer.init_transactions(30)
    for value, commit in ((b"aborted", False), (b"committed", True)):
        producer.begin_transaction()
        write(settings, (0, value, NOW), producer=producer)
        (producer.commit_transaction if commit else producer.abort_transaction)(30)
    following = Following(settings, DELIVERIES, since=NOW - HOUR, client_id="test")
    try:
        assert [message.value() for message in read(following, 1)] == [b"committed"]
    finally:
        following.close()
