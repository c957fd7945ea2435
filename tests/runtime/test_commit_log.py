"""The broker's own log of a group's commits, read aside."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streams.runtime.commit_log import Commit, CommitLog
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.observer import RENEW_S
from streams.runtime.settings import KafkaSettings, Settings
from tests.runtime.builders import deployed, until

pytestmark = pytest.mark.integration

SOURCE = "recipients.marketing"


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of the test's own: two partitions."""
    return deployed(kafka_bootstrap, topic_prefix, tmp_path)


def consumer(settings: Settings, group: str) -> Consumer:
    """Who commits for a group."""
    name = f"{settings.kafka.prefix}{group}"
    return Consumer({"bootstrap.servers": settings.kafka.bootstrap, "group.id": name, "enable.auto.commit": False})


def place(settings: Settings, offset: int, *, partition: int = 0) -> TopicPartition:
    """An offset of the source."""
    return TopicPartition(settings.topic(SOURCE), partition, offset)


def told(log: CommitLog) -> list[tuple[int, int | None]]:
    """The log's commits up to now: partition, offset."""
    log.read()
    return [(commit.place[1], commit.offset) for commit in log.commits]


def test_it_tells_each_commit_of_its_group_in_order_also_those_that_go_back(settings: Settings) -> None:
    """Of another group it tells nothing; a second read goes on where the first one ended."""
    ours, other = consumer(settings, "ours"), consumer(settings, "other")
    ours.commit(offsets=[place(settings, 7)], asynchronous=False)
    other.commit(offsets=[place(settings, 99)], asynchronous=False)
    ours.commit(offsets=[place(settings, 9), place(settings, 3, partition=1)], asynchronous=False)
    log = CommitLog(settings.kafka, f"{settings.kafka.prefix}ours")
    assert told(log) == [(0, 7), (0, 9), (1, 3)]
    assert log.commits[0] == Commit(place=(settings.topic(SOURCE), 0), offset=7)
    assert told(log) == [(0, 7), (0, 9), (1, 3)]
    ours.commit(offsets=[place(settings, 4)], asynchronous=False)
    assert told(log)[3:] == [(0, 4)]
    log.close()


def test_a_client_that_gets_no_answer_is_replaced_and_nothing_is_told_twice(settings: Settings) -> None:
    """The next one goes on where that one was: librdkafka may ask a former connection of a broker for good."""
    ours = consumer(settings, "ours")
    ours.commit(offsets=[place(settings, 7)], asynchronous=False)
    log = CommitLog(settings.kafka, f"{settings.kafka.prefix}ours")
    assert told(log) == [(0, 7)]
    first = log._consumer
    log._asked = time.monotonic() - RENEW_S - 1
    ours.commit(offsets=[place(settings, 9)], asynchronous=False)
    assert told(log) == [(0, 7), (0, 9)]
    assert log._consumer is not first
    second = log._consumer
    assert told(log) == [(0, 7), (0, 9)]
    assert log._consumer is second
    log.close()


def test_offsets_of_a_transaction_are_told_once_it_is_committed_and_never_if_it_is_aborted(settings: Settings) -> None:
    """As a successor would find them."""
    ours = consumer(settings, "ours")
    producer = Producer(
        {"bootstrap.servers": settings.kafka.bootstrap, "transactional.id": f"{settings.kafka.prefix}log"}
    )
    log = CommitLog(settings.kafka, f"{settings.kafka.prefix}ours")
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.send_offsets_to_transaction([place(settings, 5)], ours.consumer_group_metadata(), 30)
    assert told(log) == []
    producer.commit_transaction(30)
    until(lambda: told(log) == [(0, 5)], "the committed offset")
    producer.begin_transaction()
    producer.send_offsets_to_transaction([place(settings, 8)], ours.consumer_group_metadata(), 30)
    producer.abort_transaction(30)
    ours.commit(offsets=[place(settings, 6)], asynchronous=False)
    until(lambda: told(log) == [(0, 5), (0, 6)], "the one behind the aborted one")
    log.close()


def test_a_broker_that_is_away_is_told(tmp_path: Path) -> None:
    """Who looks on asks again later."""
    log = CommitLog(KafkaSettings(bootstrap="127.0.0.1:1"), "ours")
    with pytest.raises(ClusterUnreachableError) as told_error:
        log.read()
    assert isinstance(told_error.value.__cause__, KafkaException)
    log.close()
