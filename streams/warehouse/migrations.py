"""The warehouse's tables and views: schemas/clickhouse/NNNN_name.sql, applied in order, each once.

1. The database and the table `migrations` are made if missing.
2. What `migrations` holds is skipped; an applied file that was edited since is an error, not a surprise.
3. Each statement runs by itself (ClickHouse has no transactions for them) and is written so that it may run again:
   a start that was killed half-way goes on where it can, and two that start at once do no harm.
"""

import hashlib
import re
from collections.abc import Iterator
from importlib import resources
from typing import Final

from clickhouse_connect.driver.client import Client

from streams.warehouse.errors import BadDatabaseNameError, MigrationChangedError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_STATEMENT_END: Final = re.compile(r";[ \t]*$", re.MULTILINE)
_COMMENT_LINE: Final = re.compile(r"^[ \t]*--.*$", re.MULTILINE)


def migrate(client: Client, database: str) -> list[str]:
    """Bring the database up to date; the names of what was applied now, in order.

    Raises:
        BadDatabaseNameError: the name is no plain identifier.
        MigrationChangedError: an applied migration was edited.
    """
    if not _NAME.fullmatch(database):
        raise BadDatabaseNameError(database)
    client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    client.command(
        f"CREATE TABLE IF NOT EXISTS {database}.migrations ("
        "name String COMMENT 'File in schemas/clickhouse', "
        "hash String COMMENT 'SHA-256 of its text', "
        "applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When, UTC') "
        "ENGINE = ReplacingMergeTree ORDER BY name COMMENT 'Migrations that this database has'"
    )
    found = client.query(f"SELECT name, hash FROM {database}.migrations FINAL")  # noqa: S608 - a checked name
    applied = {str(name): str(digest) for name, digest in found.result_rows}
    done: list[str] = []
    for name, text in migrations():
        digest = hashlib.sha256(text.encode()).hexdigest()
        if name in applied:
            if applied[name] != digest:
                raise MigrationChangedError(name, database)
            continue
        for statement in statements(text):
            client.command(statement.replace("{database}", database))
        client.insert("migrations", [[name, digest]], column_names=["name", "hash"], database=database)
        done.append(name)
    return done


def migrations() -> list[tuple[str, str]]:
    """Each migration's name and text, in order."""
    folder = resources.files("schemas") / "clickhouse"
    files = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return sorted((file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in files)


def statements(text: str) -> Iterator[str]:
    """The statements of a file: each ends with a semicolon at the end of a line; comment lines are left out."""
    for part in _STATEMENT_END.split(_COMMENT_LINE.sub("", text)):
        if part.strip():
            yield part.strip()
