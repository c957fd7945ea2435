"""One real Kafka for the whole test session; each test takes topic names of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from streams.runtime.embedded import EmbeddedKafka


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`127.0.0.1:PORT` of a broker that this session starts at first use (5 s) and stops at its end."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka.bootstrap


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test has: for topics, groups and transactional ids."""
    return f"t{uuid.uuid4().hex[:8]}."
