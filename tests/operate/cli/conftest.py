"""A deployment of each module's own."""

from __future__ import annotations

import uuid

import pytest

from schemas import topics
from streams.runtime.cluster import Publisher
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.topic_admin import apply_topics
from tests.operate.cli.commanding import TENANT


@pytest.fixture(scope="module")
def settings(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A deployment of its own on the session's broker, with the tenant acme."""
    kafka = KafkaSettings(bootstrap=kafka_bootstrap, prefix=f"t{uuid.uuid4().hex[:8]}.", gate_partitions=2, slots=4)
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), kafka=kafka)
    apply_topics(settings)
    with Publisher(settings) as publisher:
        publisher.send(topics.TENANTS, "acme", TENANT)
    return settings
