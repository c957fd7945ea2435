"""The fixtures that every test can ask for; each lives in the module of its server."""

from __future__ import annotations

from tests.support.clickhouse import clickhouse_database, clickhouse_dsn
from tests.support.kafka import kafka_bootstrap, topic_prefix

__all__ = ["clickhouse_database", "clickhouse_dsn", "kafka_bootstrap", "topic_prefix"]
