"""Migrations: the tables as documented, each applied once."""

import re
from typing import Any

import pytest

from schemas.events.deliveries import MEANINGS
from streams.warehouse import migrations
from streams.warehouse.errors import BadDatabaseNameError, MigrationChangedError
from streams.warehouse.migrations import migrate, statements
from streams.warehouse.rows import COLUMNS, INCIDENTS
from tests.warehouse.builders import answer, migrated

VIEWS = {"campaign_funnel", "spread", "conservation", "reply_classes"}


def test_each_is_applied_once(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """A second start applies nothing."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    assert migrate(client, clickhouse_database) == []
    found = answer(client, "SELECT name FROM migrations ORDER BY name")
    assert [row["name"] for row in found] == ["0001_deliveries", "0002_views", "0003_incidents"]


def test_a_start_that_was_killed_half_way_goes_on(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """What ran but was not recorded runs again without harm."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    client.command("TRUNCATE TABLE migrations")
    assert migrate(client, clickhouse_database) == ["0001_deliveries", "0002_views", "0003_incidents"]


def test_an_edited_migration_is_an_error(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """It names the migration and says what to do."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    client.insert("migrations", [["0002_views", "0" * 64]], column_names=["name", "hash"])
    with pytest.raises(MigrationChangedError, match=r"0002_views was edited .* next number"):
        migrate(client, clickhouse_database)


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "a.b", "a;drop", "a\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    """Before it reaches a statement: no client is needed to refuse it."""
    nobody: Any = None
    with pytest.raises(BadDatabaseNameError, match="letters, digits"):
        migrate(nobody, name)


def test_numbers_are_unique_and_in_order() -> None:
    """Names are NNNN_words, and no number is taken twice."""
    names = [name for name, _ in migrations.migrations()]
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", name) for name in names)
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_statements_are_split_at_line_ends_alone() -> None:
    """A semicolon within a line, and one in a comment line, ends no statement."""
    assert list(statements("SELECT ';' -- a;b\n;\n-- c;\nSELECT 2;\n\n")) == ["SELECT ';' -- a;b", "SELECT 2"]


def test_the_table_has_the_columns_that_are_written(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """In the same order, each with a comment; tables and views too."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    where = f"database = '{clickhouse_database}'"
    columns = answer(client, f"SELECT table, name, comment FROM system.columns WHERE {where} ORDER BY table, position")
    assert tuple(row["name"] for row in columns if row["table"] == "deliveries") == COLUMNS
    assert tuple(row["name"] for row in columns if row["table"] == "incidents") == INCIDENTS.columns
    assert {row["table"] for row in columns} == VIEWS | {"deliveries", "incidents", "migrations"}
    assert [row for row in columns if not row["comment"]] == []
    assert answer(client, f"SELECT name FROM system.tables WHERE {where} AND comment = ''") == []


def test_the_funnel_has_a_column_for_each_final_type(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """A new final type can't be forgotten there: each has its column of that name."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    columns = {row["name"] for row in answer(client, "DESCRIBE campaign_funnel")}
    assert columns >= set(list(MEANINGS)[:10]) | {"waiting", "deferred"}


def test_deduplication_reaches_back_100_000_blocks(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """G7's bound stands in the table that the server has."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    (created,) = answer(client, "SHOW CREATE TABLE deliveries")
    assert "non_replicated_deduplication_window = 100000" in created["statement"]
