"""Topics as declared, or a clear no."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from schemas.topics import TOPICS
from streams.runtime.errors import ClusterUnreachableError, TopicMismatchError
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.topic_admin import admin_client, apply_topics, topic_config


def small(bootstrap: str, prefix: str, data_dir: Path, *, gate_partitions: int = 3) -> Settings:
    """A deployment without topics yet."""
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix, gate_partitions=gate_partitions, slots=2)
    return Settings(data_dir=data_dir, kafka=kafka)


@pytest.mark.integration
def test_topics_are_made_once_as_declared(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """All with their partitions and configuration; two who apply at once don't quarrel, and a third makes none."""
    settings = small(kafka_bootstrap, topic_prefix, tmp_path)
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(apply_topics, [settings, settings]))
    assert [len(one) for one in both] == [len(TOPICS)] * 2
    assert not any(one.created for one in apply_topics(settings))
    admin = admin_client(settings)
    found = admin.list_topics(timeout=30).topics
    for topic in TOPICS:
        name = settings.topic(topic.name)
        assert len(found[name].partitions) == topic.partitions(gate=3, slots=2)
        resource = ConfigResource(ResourceType.TOPIC, name)
        config = admin.describe_configs([resource])[resource].result(30)
        assert {key: config[key].value for key in topic.config()} == topic.config()


@pytest.mark.integration
def test_another_number_of_partitions_is_refused(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Keys would land elsewhere: the topic, both numbers and the settings are named, and nothing is changed."""
    apply_topics(small(kafka_bootstrap, topic_prefix, tmp_path))
    with pytest.raises(TopicMismatchError, match=r"has 3 partitions, the settings say 4.*kafka\.gate_partitions"):
        apply_topics(small(kafka_bootstrap, topic_prefix, tmp_path, gate_partitions=4))


def test_no_broker_is_told_with_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the setting."""
    monkeypatch.setattr("streams.runtime.topic_admin.TIMEOUT_S", 1.0)
    with pytest.raises(ClusterUnreachableError, match=r"'127\.0\.0\.1:1'.*EVENPOST_KAFKA__BOOTSTRAP"):
        apply_topics(small("127.0.0.1:1", "x.", tmp_path))


@pytest.mark.parametrize(("replication", "in_sync"), [(1, None), (2, None), (3, "2"), (5, "2")])
def test_an_ack_means_two_replicas_where_there_are_three(replication: int, in_sync: str | None) -> None:
    """Every topic; with fewer replicas a broker's restart would stop all writing."""
    assert {topic_config(topic, replication=replication).get("min.insync.replicas") for topic in TOPICS} == {in_sync}
