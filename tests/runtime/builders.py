"""A small deployment on the session's broker, and a reader that is none of ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.topic_admin import apply_topics

# Seconds that a condition may take on a loaded machine.
LIMIT_S = 60.0


def deployed(bootstrap: str, prefix: str, data_dir: Path, **kafka: Any) -> Settings:
    """Two gate partitions, two slots, and the declared topics."""
    given = {"gate_partitions": 2, "slots": 2, "session_timeout_s": 6.0} | kafka
    settings = Settings(data_dir=data_dir, kafka=KafkaSettings(bootstrap=bootstrap, prefix=prefix, **given))
    apply_topics(settings)
    return settings


def until(fact: Callable[[], Any], what: str, *, limit_s: float = LIMIT_S) -> None:
    """Poll for a fact."""
    deadline = time.monotonic() + limit_s
    while not fact():
        assert time.monotonic() < deadline, f"{what}: not within {limit_s:.0f} s"
        time.sleep(0.05)


def read(settings: Settings, topic: str, *, isolation: str = "read_committed") -> list[Message]:
    """All records of a declared topic up to the end it has now."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap,
            "group.id": "tests",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "fetch.wait.max.ms": 20,
        }
    )
    name = settings.topic(topic)
    try:
        open_partitions = set(consumer.list_topics(name, timeout=30).topics[name].partitions)
        consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING) for partition in open_partitions])
        found: list[Message] = []
        deadline = time.monotonic() + LIMIT_S
        while open_partitions:
            assert time.monotonic() < deadline, f"{name} has no end"
            for message in consumer.consume(1_000, timeout=0.2):
                error = message.error()
                if error is None:
                    found.append(message)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    open_partitions.discard(message.partition() or 0)
        return found
    finally:
        consumer.close()
