"""The warehouse role as a process: bad records beside good ones, and an end while ClickHouse is away."""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TopicPartition

from schemas import topics
from streams.runtime.children import Child, spawn
from streams.runtime.cluster import Publisher, sql_endpoint
from streams.runtime.errors import NoWarehouseError
from streams.runtime.group import GroupReader
from streams.runtime.points import KILL_ENV
from streams.runtime.settings import Settings
from streams.warehouse import query
from streams.warehouse.errors import SqlUnreachableError
from tests.runtime.builders import deployed, read, until
from tests.warehouse.builders import delivery

pytestmark = pytest.mark.integration


def started(settings: Settings, log: Path, more: Mapping[str, str]) -> Child:
    """The role on this deployment."""
    told = {
        "EVENPOST_DATA_DIR": str(settings.data_dir),
        "EVENPOST_KAFKA__BOOTSTRAP": str(settings.kafka.bootstrap),
        "EVENPOST_KAFKA__PREFIX": settings.kafka.prefix,
        "EVENPOST_KAFKA__SLOTS": str(settings.kafka.slots),
        "EVENPOST_KAFKA__GATE_PARTITIONS": str(settings.kafka.gate_partitions),
        "EVENPOST_KAFKA__SESSION_TIMEOUT_S": "6",
        "EVENPOST_CLICKHOUSE__SQL_PORT": "0",
    }
    command = [sys.executable, "-m", "agents", "warehouse", "--member", "warehouse-0"]
    return spawn(command, log_file=log, env={**os.environ, **told, **more})


def test_it_ends_when_told_while_clickhouse_is_away(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A block that can't be written holds no stop up: it stays planned, and nothing behind it counts as written."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")
    log = tmp_path / "log"
    with started(settings, log, {}) as warehouse:
        until((settings.data_dir / "run/warehouse-0.json").exists, "readiness")
        (settings.data_dir / "clickhouse").rename(tmp_path / "away")
        (settings.data_dir / "clickhouse").touch()  # where a file is, the engine can make no folder again
        with Publisher(settings) as publisher:
            for number in range(20):
                publisher.send(topics.DELIVERIES, "same", msgspec.json.encode(delivery(number)))
        until(lambda: "block not written yet" in log.read_text(), "a try in vain")
        warehouse.signal(signal.SIGTERM)
        assert warehouse.wait(30) == 0
    reader = GroupReader(settings, "warehouse", (topics.DELIVERIES,), client_id="test")
    name = settings.topic(topics.DELIVERIES.name)
    found = reader.committed([TopicPartition(name, partition) for partition in range(settings.kafka.slots)])
    reader.close()
    assert max((tp.offset, tp.metadata or "") for tp in found) == (0, "plan:0-20")


def test_it_dies_in_the_middle_of_an_insert_and_the_next_one_makes_it_whole(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Told to die amid its second insert it does; whoever comes then has each delivery once."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")
    written = 0

    def write_more(count: int) -> None:
        nonlocal written
        with Publisher(settings) as publisher:
            for number in range(written, written + count):
                publisher.send(topics.DELIVERIES, str(number % 3), msgspec.json.encode(delivery(number)))
        written += count

    write_more(5_000)
    with started(settings, tmp_path / "log", {KILL_ENV: "mid-insert:2"}) as warehouse:
        # An insert that is over before the middle that was guessed for it is passed by, and the next one is due.
        until(lambda: not warehouse.alive or write_more(100), "its death")
        assert warehouse.wait(1) == -signal.SIGKILL
    with started(settings, tmp_path / "log", {}) as warehouse:

        def counted(what: str) -> int:
            statement = f"SELECT toUInt32({what}) FROM deliveries"
            with contextlib.suppress(NoWarehouseError, SqlUnreachableError):
                found = query.run(sql_endpoint(settings), statement, database=settings.clickhouse.database)
                return int(found.rows[0][0])
            return 0  # it is not up yet

        until(lambda: counted("count()") >= written, "all deliveries")
        assert (counted("count()"), counted("uniqExact(kafka_partition, kafka_offset)")) == (written, written)
        warehouse.signal(signal.SIGTERM)
        assert warehouse.wait(30) == 0


def test_what_is_no_delivery_is_buried_and_the_rest_goes_on(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """One dead letter with its coordinates for each bad record; a stop and a start add none, and exit 0."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")
    with Publisher(settings) as publisher:
        for number in range(20):
            value = b"{" if number == 7 else msgspec.json.encode(delivery(number))
            publisher.send(topics.DELIVERIES, "same", value)
    for _ in range(2):
        with started(settings, tmp_path / "log", {}) as warehouse:
            until(lambda: len(read(settings, "dead-letters")) == 1, "the dead letter")
            until((settings.data_dir / "run/warehouse-0.json").exists, "readiness")
            warehouse.signal(signal.SIGTERM)
            assert warehouse.wait(30) == 0
    (letter,) = read(settings, "dead-letters")
    headers = dict(letter.headers() or ())
    assert (letter.value(), headers["source-topic"], headers["source-offset"]) == (b"{", b"deliveries", b"7")
