"""Create the declared topics, and refuse to run on ones of another shape."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.topics import JOURNAL, SENDS_MARKETING, SENDS_TRANSACTIONAL, TOPICS, Topic
from streams.runtime.clients import librdkafka
from streams.runtime.errors import ClusterUnreachableError, RuntimeFault, TopicMismatchError
from streams.runtime.settings import Settings

TIMEOUT_S: Final = 30.0
# A new topic is shown by every broker within a moment.
ASK_AGAIN_S: Final = 0.05
# From here on two replicas can be asked of each ack while one broker is away.
DURABLE_REPLICATION: Final = 3


@dataclass(frozen=True, kw_only=True)
class Applied:
    """One declared topic and whether this call made it."""

    topic: str
    partitions: int
    created: bool


def topic_config(topic: Topic, *, replication: int) -> dict[str, str]:
    """Kafka's configuration of a declared topic.

    On three replicas or more an ack means two of them: Kafka's default (`min.insync.replicas` = 1) lets it rest on one
    machine, and a broker that goes then takes acknowledged intents with it (KIP-966).
    """
    return topic.config() | ({"min.insync.replicas": "2"} if replication >= DURABLE_REPLICATION else {})


def admin_client(settings: Settings) -> AdminClient:
    """An admin client of the deployment's cluster."""
    return AdminClient(librdkafka(settings.kafka))


def apply_topics(settings: Settings) -> list[Applied]:
    """Create what is missing, and wait until the cluster shows all.

    Raises where a topic has other partitions, or no broker answers.
    """
    _check_retention()
    admin = admin_client(settings)
    kafka = settings.kafka
    declared = {
        settings.topic(topic.name): topic.partitions(gate=kafka.gate_partitions, slots=kafka.slots) for topic in TOPICS
    }
    present = _present(admin, settings)
    _check_shape(present, declared)
    missing = [
        NewTopic(
            settings.topic(topic.name),
            num_partitions=declared[settings.topic(topic.name)],
            replication_factor=kafka.replication,
            config=topic_config(topic, replication=kafka.replication),
        )
        for topic in TOPICS
        if settings.topic(topic.name) not in present
    ]
    created = _create(admin, missing)
    deadline = time.monotonic() + TIMEOUT_S
    while not declared.keys() <= present.keys() and time.monotonic() < deadline:
        time.sleep(ASK_AGAIN_S)
        present = _present(admin, settings)
    _check_shape(present, declared)  # somebody else may have made them meanwhile, in another shape
    return [Applied(topic=name, partitions=count, created=name in created) for name, count in declared.items()]


def topic_ids(settings: Settings, names: Sequence[str]) -> dict[str, str]:
    """Each topic's id by its full name: a topic made anew under the same name has another (KIP-516)."""
    admin = admin_client(settings)  # held: its end would end what was asked
    asked = admin.describe_topics(TopicCollection(list(names)), request_timeout=TIMEOUT_S)
    return {name: str(future.result().topic_id) for name, future in asked.items()}


def _present(admin: AdminClient, settings: Settings) -> dict[str, int]:
    """Each topic of the cluster and its number of partitions."""
    try:
        found = admin.list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise ClusterUnreachableError(settings.kafka.bootstrap, str(error.args[0])) from error
    return {name: len(topic.partitions) for name, topic in found.items() if topic.partitions}


def _check_shape(present: Mapping[str, int], declared: Mapping[str, int]) -> None:
    for name, count in declared.items():
        found = present.get(name, count)
        if found != count:
            raise TopicMismatchError(name, found=found, declared=count)


def _create(admin: AdminClient, missing: list[NewTopic]) -> set[str]:
    """Create these; returns those that nobody else created first."""
    created: set[str] = set()
    for name, future in (admin.create_topics(missing, operation_timeout=TIMEOUT_S) if missing else {}).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
        else:
            created.add(name)
    return created


def _check_retention() -> None:
    """The journal must outlive the sends, or a send delivered again after that is sent again."""
    journal = JOURNAL.retention_ms or 0
    for sends in (SENDS_TRANSACTIONAL, SENDS_MARKETING):
        if sends.retention_ms is None or sends.retention_ms >= journal:
            raise RuntimeFault(f"retention of {JOURNAL.name} ({journal} ms) must be longer than that of {sends.name}")
