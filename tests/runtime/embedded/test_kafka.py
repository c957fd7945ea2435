"""The embedded Kafka: data kept, found by others, clear when it can't start, never an orphan."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.runtime.embedded import EmbeddedKafka, KafkaAlreadyRunning, KafkaDidNotStart

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
# Seconds: the broker's clean stop has 10, and some slack for a loaded machine.
STOPPED_S = 20.0


@pytest.fixture(scope="module")
def formatted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a topic `kept` and one record in it; its broker is stopped."""
    data_dir = tmp_path_factory.mktemp("data")
    with EmbeddedKafka(data_dir) as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        for made in admin.create_topics([NewTopic("kept", num_partitions=2, replication_factor=1)]).values():
            made.result(30)
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
        producer.produce("kept", key=b"k", value=b"v")
        assert producer.flush(30) == 0
    return data_dir


def test_data_port_and_cluster_id_outlive_a_restart(formatted: Path) -> None:
    """The second start has the topic, its record, the cluster id and the port of the first."""
    before = EmbeddedKafka(formatted).cluster_id
    port_before = int((formatted / "kafka" / "server.properties").read_text().split("127.0.0.1:")[1].split(",")[0])
    assert EmbeddedKafka.running(formatted) is None
    with EmbeddedKafka(formatted) as kafka:
        assert (kafka.cluster_id, kafka.bootstrap) == (before, f"127.0.0.1:{port_before}")
        assert EmbeddedKafka.running(formatted) == kafka.bootstrap
        metadata = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10)
        assert metadata.cluster_id == before and len(metadata.topics["kept"].partitions) == 2
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.subscribe(["kept"])
        message = consumer.poll(30)
        consumer.close()
        assert message is not None and message.value() == b"v"
        with pytest.raises(KafkaAlreadyRunning, match=str(kafka.pid)):
            EmbeddedKafka(formatted).start()
    assert EmbeddedKafka.running(formatted) is None


def test_no_jvm_is_left_when_the_parent_is_killed(formatted: Path) -> None:
    """SIGKILL to the process that started the broker: the JVM is gone, cleanly, and needed no Java of the machine's."""
    script = """
        import sys, time
        from pathlib import Path
        from streams.runtime.embedded import EmbeddedKafka
        kafka = EmbeddedKafka(Path(sys.argv[1]))
        kafka.start()
        print(kafka.pid, flush=True)
        time.sleep(300)
    """
    hostile = {"PATH": "/nonexistent", "JAVA_HOME": "/nonexistent", "JAVA_TOOL_OPTIONS": "-Xmx1x", "CLASSPATH": "x"}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(formatted)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **hostile},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        jvm = psutil.Process(pid)
        assert "kafka.Kafka" in jvm.cmdline()
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
    deadline = time.monotonic() + STOPPED_S
    while jvm.is_running() and jvm.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not jvm.is_running() or jvm.status() == psutil.STATUS_ZOMBIE
    assert EmbeddedKafka.running(formatted) is None
    assert (formatted / "kafka" / "data" / ".kafka_cleanshutdown").exists()


def test_a_broken_heap_setting_is_shown_with_the_jvms_own_words(formatted: Path) -> None:
    """The error carries the tail of the log, and what to do."""
    with pytest.raises(KafkaDidNotStart, match="correct the heap setting") as raised:
        EmbeddedKafka(formatted, heap="7x").start()
    assert "Invalid maximum heap size" in raised.value.log_tail
    assert "exit code 1" in raised.value.reason


def test_an_occupied_port_is_named(formatted: Path) -> None:
    """A port that another program has is refused before any JVM starts."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(KafkaDidNotStart, match=f"127.0.0.1:{port} is in use"):
            EmbeddedKafka(formatted, port=port).start()


def test_a_damaged_data_directory_is_shown_with_the_brokers_own_words(tmp_path: Path) -> None:
    """A broker that ends by itself: its log's tail is in the error."""
    home = tmp_path / "kafka"
    (home / "data").mkdir(parents=True)
    (home / "cluster-id").write_text("never-formatted\n")
    with pytest.raises(KafkaDidNotStart, match="exit code") as raised:
        EmbeddedKafka(tmp_path).start()
    assert "meta.properties" in raised.value.log_tail


def test_topics_are_never_made_by_a_typo(kafka_bootstrap: str, topic_prefix: str) -> None:
    """auto.create.topics.enable is off: an unknown topic stays unknown."""
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap, "allow.auto.create.topics": True})
    assert admin.list_topics(f"{topic_prefix}typo", timeout=10).topics[f"{topic_prefix}typo"].error is not None
    assert f"{topic_prefix}typo" not in admin.list_topics(timeout=10).topics


def test_eight_megabyte_campaigns_pass(kafka_bootstrap: str, topic_prefix: str) -> None:
    """DESIGN.md: `campaigns` and `contents` take 8 MB messages."""
    topic = f"{topic_prefix}campaigns"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for made in admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)]).values():
        made.result(30)
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "message.max.bytes": 9_000_000})
    producer.produce(topic, value=bytes(8_000_000), on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(30) == 0
    assert failures == [None]
