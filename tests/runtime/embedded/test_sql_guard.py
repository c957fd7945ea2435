"""Read-only SQL: what may run and what may not, by its tokens."""

from __future__ import annotations

import pytest

from streams.runtime.embedded.sql_guard import Refused, check

TABLE_FUNCTIONS = frozenset({"file", "url", "s3", "executable", "remote", "numbers", "values", "python"})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        " ( select 1 ) ; ; ",
        "WITH 1 AS x SELECT x",
        "FROM t SELECT a",
        "show tables",
        "DESCRIBE TABLE t",
        "EXPLAIN SELECT 1",
        "EXISTS t",
        "SELECT ';' AS a, \"b;c\", `d;e` /* ; /* nested ; */ */ -- ;\n FROM t # ;",
        "SELECT $$ file('x'); $$, $tag$ ; $tag$",
        "SELECT 'it''s', 'back\\'slash; file('",
        "SELECT number FROM numbers(3)",
        "SELECT file, url FROM t WHERE file = 1",
        "SELECT 'INTO OUTFILE'",
        "SELECT 1 AS into",
    ],
)
def test_a_reading_statement_passes(sql: str) -> None:
    """Comments, strings, heredocs and names are read as ClickHouse reads them."""
    assert not check(sql, table_functions=TABLE_FUNCTIONS).sql.rstrip().endswith(";")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1)",
        "DROP TABLE t",
        "SET readonly = 0",
        "KILL QUERY WHERE 1",
        "USE system",
        "SYSTEM FLUSH LOGS",
        "SELECT 1; DROP TABLE t",
        "SELECT 1 /* ; */; SELECT 2",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SELECT 1 into /* . */ outfile '/tmp/x'",
        "SELECT file('/etc/passwd')",
        "SELECT File ('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        "SELECT \"file\" /**/ ('/etc/passwd')",
        "DESCRIBE TABLE url('http://127.0.0.1/')",
        "SELECT * FROM s3('x')",
        "SELECT * FROM Python(x)",
        "SELECT aiGenerate('x', 'y')",
        "SELECT sleep(3)",
        "SELECT /* open",
        "SELECT 'open",
        "",
        ";",
        "-- nothing",
    ],
)
def test_anything_else_is_refused(sql: str) -> None:
    """Writes, second statements, files, programs, the net; and what isn't closed, which could hide the rest."""
    with pytest.raises(Refused):
        check(sql, table_functions=TABLE_FUNCTIONS)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("SELECT 1 FORMAT JSON", "JSON"),
        ("select 1 format CSV ;", "CSV"),
        ("SELECT 'FORMAT x'", None),
        ("SELECT 1", None),
    ],
)
def test_the_format_that_a_statement_names_is_known(sql: str, named: str | None) -> None:
    """It is told to the client in X-ClickHouse-Format."""
    assert check(sql, table_functions=TABLE_FUNCTIONS).format == named
