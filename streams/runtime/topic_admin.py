"""Create the declared topics, and refuse to run on ones of another shape."""

from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.topics import JOURNAL, SENDS_MARKETING, SENDS_TRANSACTIONAL, TOPICS
from streams.runtime.clients import librdkafka
from streams.runtime.errors import ClusterUnreachableError, RuntimeFault, TopicMismatchError
from streams.runtime.settings import Settings

TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Applied:
    """One declared topic and whether this call made it."""

    topic: str
    partitions: int
    created: bool


def admin_client(settings: Settings) -> AdminClient:
    """An admin client of the deployment's cluster."""
    return AdminClient(librdkafka(settings.kafka))


def apply_topics(settings: Settings) -> list[Applied]:
    """Create what is missing.  Raises where a topic has other partitions, or no broker answers."""
    _check_retention()
    admin = admin_client(settings)
    try:
        present = admin.list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise ClusterUnreachableError(settings.kafka.bootstrap, str(error.args[0])) from error
    applied: list[Applied] = []
    missing: list[NewTopic] = []
    for topic in TOPICS:
        name = settings.topic(topic.name)
        declared = topic.partitions(gate=settings.kafka.gate_partitions, slots=settings.kafka.slots)
        found = present.get(name)
        if found is not None and len(found.partitions) != declared:
            raise TopicMismatchError(name, found=len(found.partitions), declared=declared)
        if found is None:
            missing.append(
                NewTopic(
                    name,
                    num_partitions=declared,
                    replication_factor=settings.kafka.replication,
                    config=topic.config(),
                )
            )
        applied.append(Applied(topic=name, partitions=declared, created=found is None))
    for future in (admin.create_topics(missing, operation_timeout=TIMEOUT_S) if missing else {}).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return applied


def _check_retention() -> None:
    """The journal must outlive the sends, or a send delivered again after that is sent again."""
    journal = JOURNAL.retention_ms or 0
    for sends in (SENDS_TRANSACTIONAL, SENDS_MARKETING):
        if sends.retention_ms is None or sends.retention_ms >= journal:
            raise RuntimeFault(f"retention of {JOURNAL.name} ({journal} ms) must be longer than that of {sends.name}")
