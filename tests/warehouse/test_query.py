"""An analyst's statement: the same answer in process and over HTTP, and clear words when there is none."""

import socket
from pathlib import Path

import pytest

from streams.runtime.clickhouse import chdb_path, connect
from streams.runtime.embedded.clickhouse import SqlServer
from streams.warehouse.errors import SqlUnreachableError, StatementRefusedError
from streams.warehouse.query import run
from streams.warehouse.writer import Writer
from tests.warehouse.builders import block, delivery, migrated

pytestmark = pytest.mark.integration

SQL = "SELECT tenant, events, accept_rate, first_at FROM campaign_funnel -- by campaign\n;"


def test_both_ways_answer_alike(clickhouse_dsn: str, clickhouse_database: str, tmp_path: Path) -> None:
    """Through a client and through the SQL port that the warehouse serves: the same table."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    Writer(client, clickhouse_database).insert(block([delivery(1)]))
    with SqlServer(chdb_path(clickhouse_dsn) or "", data_dir=tmp_path) as server:
        answers = [run(client, SQL), run(server.url, SQL, database=clickhouse_database)]
    for answer in answers:
        assert answer.columns == ("tenant", "events", "accept_rate", "first_at")
        assert answer.types[1] == "UInt64"
        assert answer.rows == (("acme", 1, 1, "2026-11-24 00:00:11.000"),)


def test_a_refused_statement_says_why(clickhouse_dsn: str, tmp_path: Path) -> None:
    """ClickHouse's words and code, without its stack or version, by either way."""
    client = connect(clickhouse_dsn)
    with SqlServer(chdb_path(clickhouse_dsn) or "", data_dir=tmp_path) as server:
        for source in (client, server.url):
            with pytest.raises(StatementRefusedError, match="nowhere") as refused:
                run(source, "SELECT * FROM nowhere")
            assert refused.value.code == 60
            assert "version" not in str(refused.value)
        with pytest.raises(StatementRefusedError, match="leave FORMAT out"):
            run(server.url, "SELECT 1 FORMAT CSV")
        with pytest.raises(StatementRefusedError) as refused:
            run(server.url, "DROP DATABASE default")
        assert refused.value.code == 164
    client.close()


@pytest.mark.parametrize("sql", ["", " ;\n", ";"])
def test_an_empty_statement_is_refused(sql: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(StatementRefusedError, match="empty"):
        run("http://127.0.0.1:1", sql)


def test_nobody_listening_is_said_with_host_port_and_cure() -> None:
    """No traceback of sockets: where, why, and what to start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SqlUnreachableError, match=rf"127\.0\.0\.1:{port} .*refused.*evenpost up.*worker warehouse"):
        run(f"http://127.0.0.1:{port}", "SELECT 1")


@pytest.mark.parametrize("url", ["chdb:///data", "127.0.0.1:8123", "http://", "ftp://127.0.0.1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """It names the address; a password in one is never shown."""
    with pytest.raises(SqlUnreachableError, match="no http"):
        run(url, "SELECT 1")
    with pytest.raises(SqlUnreachableError) as refused:
        run("ftp://u:hidden@127.0.0.1", "SELECT 1")
    assert "hidden" not in str(refused.value)
