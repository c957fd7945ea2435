"""`python -m streams.runtime.embedded.start_cache`: make Java's ahead-of-time cache for Kafka (`make setup` does).

1. A broker of a throw-away folder starts with Java recording, has a topic, a transaction and a group, and ends.
2. A second Java makes the cache of the record (JEP 483).
3. It is moved into place whole: a start that comes meanwhile has the former one, or none.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.runtime.embedded.errors import EmbeddedError
from streams.runtime.embedded.jar_cache import class_path
from streams.runtime.embedded.jvm import java_argv, java_environment, start_cache
from streams.runtime.embedded.kafka import EmbeddedKafka

__all__ = ["main", "make"]

# Seconds.  At rest the record takes 2 at the broker's end and the cache 4; ten times that on a busy machine.
LIMIT_S: Final = 60.0
TOPIC: Final = "learn"


def make(place: Path) -> None:
    """Make the cache.

    Raises:
        EmbeddedError, KafkaException: the broker does not start, or does not answer.
        OSError, subprocess.SubprocessError: Java writes no record or no cache, or the place can't be written.
    """
    with tempfile.TemporaryDirectory(prefix="evenpost-java-") as name:
        folder = Path(name)
        record, draft = folder / "record", place.with_suffix(".draft")
        kafka = EmbeddedKafka(folder, options=["-XX:AOTMode=record", f"-XX:AOTConfiguration={record}"])
        try:
            _use(kafka.start())
        finally:
            kafka.stop(LIMIT_S)
        command = java_argv(
            class_path(),
            "kafka.Kafka",
            arguments=[],
            log_dir=folder,
            options=["-XX:AOTMode=create", f"-XX:AOTConfiguration={record}", f"-XX:AOTCache={draft}"],
        )
        try:
            subprocess.run(command, env=java_environment(), timeout=LIMIT_S, check=True, capture_output=True)
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)


def _use(bootstrap: str) -> None:
    """What workers ask of a broker first: a topic, a record in a transaction with a group's offsets, and to read it."""
    client: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0}
    admin = AdminClient(client)
    for made in admin.create_topics([NewTopic(TOPIC, num_partitions=2, replication_factor=1)]).values():
        made.result(LIMIT_S)
    consumer = Consumer(client | {"group.id": TOPIC, "auto.offset.reset": "earliest"})
    producer = Producer(client | {"transactional.id": TOPIC, "compression.type": "lz4"})
    try:
        consumer.subscribe([TOPIC])
        producer.init_transactions(LIMIT_S)
        producer.begin_transaction()
        producer.produce(TOPIC, b"value", key=b"key", partition=0)
        consumer.poll(1.0)
        producer.send_offsets_to_transaction([TopicPartition(TOPIC, 0, 0)], consumer.consumer_group_metadata(), LIMIT_S)
        producer.commit_transaction(LIMIT_S)
        consumer.poll(LIMIT_S)
    finally:
        consumer.close()


def main() -> int:
    """Make it, and say so.  Whatever fails costs seconds of each start, and nothing else: the exit code is 0."""
    try:
        place = start_cache()
        make(place)
        sys.stdout.write(f"Apache Kafka starts quicker with {place.name} ({place.stat().st_size / 1e6:.0f} MB)\n")
    except (EmbeddedError, KafkaException, OSError, subprocess.SubprocessError) as failed:
        sys.stdout.write(f"Apache Kafka will start as slowly as ever, some seconds; no cache for Java: {failed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
