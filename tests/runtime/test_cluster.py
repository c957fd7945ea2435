"""Records in for certain, a read that ends, and the ways to find broker and SQL port."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import uuid
from pathlib import Path

import pytest

from schemas import ids, topics
from schemas.events import Egress, Via
from streams.runtime import cluster
from streams.runtime.clickhouse import chdb_path
from streams.runtime.cluster import Publisher, find, read_all, read_world, resolve, sql_endpoint
from streams.runtime.embedded.clickhouse import SqlServer
from streams.runtime.errors import (
    ClusterUnreachableError,
    NoBrokerError,
    NoWarehouseError,
    PublishFailedError,
    TopicMissingError,
)
from streams.runtime.settings import ClickHouseSettings, KafkaSettings, Settings
from streams.runtime.topic_admin import apply_topics
from tests.support.raw_headers import RawKey, send_raw


@pytest.fixture(scope="module")
def settings(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A small deployment with its topics; each test has a topic to itself."""
    kafka = KafkaSettings(bootstrap=kafka_bootstrap, prefix=f"t{uuid.uuid4().hex[:8]}.", gate_partitions=3, slots=1)
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), kafka=kafka)
    apply_topics(settings)
    return settings


@pytest.mark.integration
def test_what_was_published_is_read_to_the_end(settings: Settings) -> None:
    """Java's placement, order within a partition, tombstones, and an end; `last` reads only so many of each."""
    with Publisher(settings) as publisher:
        for number in range(50):
            publisher.send(topics.RECIPIENTS_MARKETING, f"acme:u{number}", str(number).encode())
        publisher.send(topics.RECIPIENTS_MARKETING, "acme:u0", None)
    found = list(read_all(settings, topics.RECIPIENTS_MARKETING))
    assert len(found) == 51
    assert all(record.partition == ids.partition_for(record.key.encode(), 3) for record in found)
    assert [record.value for record in found if record.key == "acme:u0"] == [b"0", None]
    assert len(list(read_all(settings, topics.RECIPIENTS_MARKETING, last=2))) == 6
    assert list(read_all(settings, topics.RETURNS)) == []


@pytest.mark.integration
def test_a_header_key_that_is_no_utf8_hides_no_record(settings: Settings) -> None:
    """It is read with the rest, without its headers.

    confluent-kafka raises for them or, in a call that ran often (PEP 659), ends the process.
    """
    topic, good = settings.topic(topics.FEEDBACK.name), [("reason", b"x")]
    bad = [*good, (RawKey(), b"y"), ("c", b"z")]
    records = [(b"k", b"%d" % number, bad if number % 50 == 49 else good) for number in range(200)]
    asyncio.run(send_raw(str(settings.kafka.bootstrap), topic, records))
    found = [(record.value, dict(record.headers)) for record in read_all(settings, topics.FEEDBACK)]
    assert found == [(value, {"reason": b"x"} if headers is good else {}) for _, value, headers in records]


@pytest.mark.integration
def test_find_waits_for_its_key_and_no_longer(settings: Settings) -> None:
    """The last word on a key counts; a tombstone is none; what comes within the time is found."""
    with Publisher(settings) as publisher:
        for key, value in (("a", b"1"), ("a", b"2"), ("b", b"1"), ("b", None)):
            publisher.send(topics.CONTENTS, key, value)
        publisher.flush()
        record = find(settings, topics.CONTENTS, "a")
        assert record is not None and record.value == b"2"
        assert find(settings, topics.CONTENTS, "b") is None
        late = threading.Timer(0.5, lambda: publisher.send(topics.CONTENTS, "c", b"1"))
        late.start()
        began = time.monotonic()
        assert find(settings, topics.CONTENTS, "c", timeout_s=20.0) is not None
        assert time.monotonic() - began < 10
        late.join()


@pytest.mark.integration
def test_a_world_passes_over_what_does_not_decode(settings: Settings) -> None:
    """The last good value stays, as it does for the workers."""
    good = Egress(slot=0, via=Via(kind="bind", address="127.0.0.2"), ehlo="m0.mail.example")
    with Publisher(settings) as publisher:
        publisher.send(topics.EGRESS, "0", good)
        publisher.send(topics.EGRESS, "0", b'{"slot":0')
        publisher.send(topics.EGRESS, "1", good)  # under a key that isn't its own
    assert read_world(settings, topics.EGRESS).egress == {"0": good}


@pytest.mark.integration
def test_records_that_did_not_arrive_are_told(settings: Settings) -> None:
    """Too large for the topic or the client, or no such topic: it never says that all is well."""
    noise = random.Random(1).randbytes(2 * topics.MESSAGE_BYTES)  # does not compress below the topic's limit
    publisher = Publisher(settings)
    publisher.send(topics.RECIPIENTS_TRANSACTIONAL, "acme:u2", b"fits")
    publisher.send(topics.RECIPIENTS_TRANSACTIONAL, "acme:u1", noise)
    with pytest.raises(PublishFailedError, match=r"^1 record\(s\) did not reach Kafka: .*large"):
        publisher.flush()
    assert [record.key for record in read_all(settings, topics.RECIPIENTS_TRANSACTIONAL)] == ["acme:u2"]
    with pytest.raises(PublishFailedError, match="large"):
        Publisher(settings).send(topics.CAMPAIGNS, "acme:x", bytes(2 * topics.LARGE_MESSAGE_BYTES))
    other = settings.kafka.model_copy(update={"prefix": "nobody."})
    with pytest.raises(TopicMissingError, match="topics apply"):
        Publisher(settings.model_copy(update={"kafka": other})).send(topics.TENANTS, "acme", b"{}")


def test_nobody_there_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker known; one that does not answer; security that does not go together."""
    monkeypatch.setattr(cluster, "REACH_S", 0.5)
    with pytest.raises(NoBrokerError, match="evenpost up"):
        resolve(Settings(data_dir=tmp_path))
    with pytest.raises(ClusterUnreachableError, match=r"127\.0\.0\.1:1"):
        cluster.check_reachable(Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")))
    insecure = KafkaSettings(bootstrap="127.0.0.1:1", security_protocol="SSL", ssl_ca_file=tmp_path / "none.pem")
    with pytest.raises(ClusterUnreachableError, match=r"ssl\.ca\.location"):
        cluster.check_reachable(Settings(data_dir=tmp_path, kafka=insecure))


def test_a_broker_that_is_set_is_taken_as_it_is(tmp_path: Path) -> None:
    """Nothing is looked for when `kafka.bootstrap` says where."""
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="kafka.example:9092"))
    assert resolve(settings) is settings


def test_sql_is_a_server_of_your_own_or_this_machines_warehouse(tmp_path: Path, clickhouse_dsn: str) -> None:
    """A port file counts while SQL is answered there; a chdb DSN is the warehouse's, never opened twice."""
    own = ClickHouseSettings(dsn="https://ch.example:8443")
    assert sql_endpoint(Settings(data_dir=tmp_path, clickhouse=own)) == "https://ch.example:8443"
    embedded = Settings(data_dir=tmp_path, clickhouse=ClickHouseSettings(dsn="chdb:///somewhere"))
    with SqlServer(str(chdb_path(clickhouse_dsn)), data_dir=tmp_path) as server:
        assert sql_endpoint(embedded) == server.url
    with pytest.raises(NoWarehouseError, match="EVENPOST_CLICKHOUSE__DSN"):
        sql_endpoint(embedded)
