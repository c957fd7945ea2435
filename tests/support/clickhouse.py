"""One embedded ClickHouse for the whole test session (chDB has one path per process); each test takes a database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from streams.runtime.clickhouse import connect


@pytest.fixture(scope="session")
def clickhouse_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`chdb:///…`; a connection is kept open, so the engine starts once."""
    dsn = f"chdb://{tmp_path_factory.mktemp('clickhouse')}"
    client = connect(dsn)
    yield dsn
    client.close()


@pytest.fixture
def clickhouse_database(clickhouse_dsn: str) -> Iterator[str]:
    """A database of the test's own in that engine; dropped afterwards."""
    name = f"t{uuid.uuid4().hex[:8]}"
    client = connect(clickhouse_dsn)
    client.command(f"CREATE DATABASE {name}")
    yield name
    client.command(f"DROP DATABASE {name}")
    client.close()
