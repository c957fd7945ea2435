"""Topics outside the declaration, for a measurement: made, looked at, deleted.  Names are full ones."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.runtime.clients import librdkafka
from streams.runtime.settings import Settings

TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.05


def make(settings: Settings, topics: Mapping[str, int], *, config: Mapping[str, str] | None = None) -> None:
    """Create topics with so many partitions each, on all replicas that the settings name.  Raises KafkaException."""
    wanted = [
        NewTopic(name, num_partitions=count, replication_factor=settings.kafka.replication, config=dict(config or {}))
        for name, count in topics.items()
    ]
    admin = _admin(settings)  # held: an answer ends with its client
    for made in admin.create_topics(wanted, operation_timeout=TIMEOUT_S).values():
        made.result()
    # The controller has made them; a broker learns of it a moment later, and denies them until then.
    deadline = time.monotonic() + TIMEOUT_S
    while not topics.keys() <= admin.list_topics(timeout=TIMEOUT_S).topics.keys() and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def delete(settings: Settings, prefix: str) -> list[str]:
    """Delete all topics, and all groups without members, whose names begin so; returns the topics' names.

    A group whose member did not leave stays until the cluster's retention of offsets ends it.
    """
    admin = _admin(settings)
    names = [name for name in admin.list_topics(timeout=TIMEOUT_S).topics if name.startswith(prefix)]
    if names:
        for gone in admin.delete_topics(names, operation_timeout=TIMEOUT_S).values():
            gone.result()
    groups = [one.group_id for one in admin.list_consumer_groups().result().valid]
    ours = [name for name in groups if name.startswith(prefix)]
    for left in (admin.delete_consumer_groups(ours) if ours else {}).values():
        with suppress(KafkaException):
            left.result()
    return names


def ends(settings: Settings, topic: str) -> dict[int, int]:
    """The offset after the last record of each partition."""
    reader = Consumer(librdkafka(settings.kafka, group_id=f"{topic}-ends"))  # a group's name, and no member
    try:
        partitions = reader.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        return {
            partition: int(reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_S)[1])
            for partition in partitions
        }
    finally:
        reader.close()


def committed(settings: Settings, group: str, topic: str) -> dict[int, int]:
    """A group's committed offset of each partition; of none that it has none for."""
    asked = ConsumerGroupTopicPartitions(group)
    admin = _admin(settings)
    told = admin.list_consumer_group_offsets([asked])[group].result().topic_partitions or []
    for tp in told:
        if tp.error is not None:
            raise KafkaException(tp.error)
    return {tp.partition: tp.offset for tp in told if tp.topic == topic and tp.offset >= 0}


def _admin(settings: Settings) -> AdminClient:
    """A client whose faults are raised, and not written to the terminal by librdkafka."""
    return AdminClient(librdkafka(settings.kafka, log_level=0))
