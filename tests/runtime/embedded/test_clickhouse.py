"""The embedded ClickHouse over HTTP: curl and clickhouse-connect read, nobody writes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from streams.runtime.clickhouse import ClickHouseUnreachableError, chdb_path, connect
from streams.runtime.embedded.clickhouse import SqlServer

pytestmark = pytest.mark.integration


@pytest.fixture
def server(clickhouse_dsn: str, clickhouse_database: str, tmp_path: Path) -> Iterator[SqlServer]:
    """A server on the session's engine, with a table `mail` of two rows in the test's database."""
    client = connect(clickhouse_dsn, database=clickhouse_database)
    client.command("CREATE TABLE mail (id UInt32, subject String) ENGINE = MergeTree ORDER BY id")
    client.insert("mail", [[1, "こんにちは"], [2, "it's 🎉"]], column_names=["id", "subject"])
    with SqlServer(chdb_path(clickhouse_dsn) or "", data_dir=tmp_path) as running:
        yield running
    client.close()


def ask(
    server: SqlServer,
    body: str | None = None,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    **query: str,
) -> tuple[int, str, http.client.HTTPMessage]:
    """One request as curl makes it: status, text, headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, "/?" + urlencode(query), body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


def test_curl_asks_by_url_by_body_and_by_both(server: SqlServer, clickhouse_database: str) -> None:
    """GET ?query=, POST body, and the two together; TabSeparated unless told otherwise."""
    sql = f"SELECT id, subject FROM {clickhouse_database}.mail ORDER BY id"
    rows = "1\tこんにちは\n2\tit\\'s 🎉\n"
    assert ask(server, query=sql)[:2] == (200, rows)
    assert ask(server, sql, method="POST")[:2] == (200, rows)
    assert (
        ask(server, f"FROM {clickhouse_database}.mail ORDER BY id", method="POST", query="SELECT id, subject")[1]
        == rows
    )
    assert ask(server, query="SELECT count() FROM mail", database=clickhouse_database)[1] == "2\n"


def test_format_parameters_and_summary(server: SqlServer, clickhouse_database: str) -> None:
    """default_format, FORMAT, param_… and the headers are ClickHouse's."""
    status, text, headers = ask(
        server,
        query=f"SELECT id FROM {clickhouse_database}.mail WHERE subject = {{s:String}}",
        default_format="JSONEachRow",
        param_s="it's 🎉",
    )
    assert (status, json.loads(text)) == (200, {"id": 2})
    assert headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert json.loads(headers["X-ClickHouse-Summary"])["read_rows"] == "2"
    assert ask(server, query="SELECT 'a' FORMAT CSV", default_format="JSON")[1] == '"a"\n'


def test_clickhouse_connect_queries_it_like_a_server(server: SqlServer, clickhouse_database: str) -> None:
    """Its handshake, types, parameters, settings and compression pass; so do two clients at once."""
    for compress in (True, False):
        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=server.port, database=clickhouse_database, compress=compress
        )
        found = client.query("SELECT id, subject FROM mail WHERE id >= {low:UInt32} ORDER BY id", parameters={"low": 1})
        assert found.result_rows == [(1, "こんにちは"), (2, "it's 🎉")]
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            client.query("SELECT * FROM no_such_table")
        with pytest.raises(DatabaseError, match="READONLY"):
            client.insert("mail", [[3, "x"]], column_names=["id", "subject"])
        client.close()


@pytest.mark.parametrize(
    ("sql", "status"),
    [
        ("INSERT INTO {db}.mail VALUES (3, 'x')", 403),
        ("WITH 1 AS x INSERT INTO {db}.mail SELECT x, 'y'", 403),
        ("DROP TABLE {db}.mail", 403),
        ("CREATE TABLE {db}.more (a Int8) ENGINE = Memory", 403),
        ("SELECT 1 SETTINGS readonly = 0", 403),
        ("SELECT * FROM file('{path}', 'LineAsString', 'line String')", 403),
        ("SELECT file('{path}')", 403),
        ("SELECT * FROM `{path}`", 404),
        ("SELECT * FROM '{path}'", 404),
        ("SELECT * FROM default.`{path}`", 403),
        ("DESCRIBE TABLE file('{path}')", 403),
        ("SELECT * FROM url('http://127.0.0.1:{port}/ping', 'LineAsString', 'line String')", 403),
        ("SELECT * FROM executable('id', 'LineAsString', 'line String')", 403),
        ("SELECT 1 INTO OUTFILE '{path}.out'", 403),
        ("KILL QUERY WHERE 1", 403),
        ("SELECT 1; SELECT 2", 400),
        ("SELECT * FROM no_such_table", 404),
        ("SELECT FROM WHERE", 400),
        ("SELECT 1 FORMAT NoSuchFormat", 400),
    ],
)
def test_nothing_is_written_and_nothing_outside_is_read(
    server: SqlServer, clickhouse_database: str, tmp_path: Path, sql: str, status: int
) -> None:
    """Refusals are errors in ClickHouse's form, and the tables are as before."""
    secret = tmp_path / "secret.csv"
    secret.write_text("hidden\n")
    got, text, headers = ask(
        server,
        sql.format(db=clickhouse_database, path=secret, port=server.port),
        method="POST",
        database=clickhouse_database,
    )
    assert (got, text.startswith(f"Code: {headers['X-ClickHouse-Exception-Code']}. DB::Exception: ")) == (status, True)
    assert "hidden" not in text
    assert not Path(f"{secret}.out").exists()
    assert ask(server, query="SELECT count(), sum(id) FROM mail", database=clickhouse_database)[1] == "2\t3\n"


def test_settings_in_the_address_are_refused_as_for_a_readonly_user(server: SqlServer) -> None:
    """`?readonly=0` changes nothing; what concerns the transport is taken."""
    assert ask(server, query="SELECT 1", readonly="0")[0] == 403
    assert ask(server, query="SELECT 1", session_id="s", compress="0", wait_end_of_query="1")[:2] == (200, "1\n")


def test_a_web_page_cannot_reach_in_by_a_name_of_its_own(server: SqlServer) -> None:
    """DNS rebinding: a Host that isn't this machine's loopback is refused."""
    assert ask(server, query="SELECT 1", headers={"Host": "evil.example"})[0] == 403
    assert ask(server, query="SELECT 1", headers={"Host": f"localhost:{server.port}"})[0] == 200


def test_other_processes_find_it(server: SqlServer, tmp_path: Path) -> None:
    """`/ping` answers, and the data directory says where."""
    assert ask(server)[:2] == (200, "Ok.\n")
    assert SqlServer.running(tmp_path) == server.url
    server.stop()
    assert SqlServer.running(tmp_path) is None


def test_an_unreachable_dsn_names_itself_without_its_password(clickhouse_dsn: str, tmp_path: Path) -> None:
    """The message names the DSN and the setting; a second chDB path in one process names both paths."""
    with pytest.raises(ClickHouseUnreachableError, match="EVENPOST_CLICKHOUSE__DSN") as raised:
        connect("http://reader:s3cret@127.0.0.1:9/mail")
    assert "s3cret" not in str(raised.value)
    with pytest.raises(ClickHouseUnreachableError, match=f"{chdb_path(clickhouse_dsn)}.*{tmp_path}"):
        connect(f"chdb://{tmp_path}")
