"""Kafka and ClickHouse on one machine, without docker: real ones, kept in the data directory.

`EmbeddedKafka` (kafka.py) runs Apache Kafka; `SqlServer` (clickhouse.py) answers read-only SQL over the embedded
ClickHouse in the form of ClickHouse's HTTP interface. Both need the extra `embedded`, and both are left out when
`kafka.bootstrap` and `clickhouse.dsn` name servers of your own.
"""

from __future__ import annotations

from streams.runtime.embedded.errors import (
    EmbeddedError,
    ExtraMissing,
    JarsUnavailable,
    KafkaAlreadyRunning,
    KafkaDidNotStart,
)
from streams.runtime.embedded.kafka import EmbeddedKafka

__all__ = [
    "EmbeddedError",
    "EmbeddedKafka",
    "ExtraMissing",
    "JarsUnavailable",
    "KafkaAlreadyRunning",
    "KafkaDidNotStart",
]
