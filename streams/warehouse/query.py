"""An analyst's statement, asked of whoever owns the engine: `evenpost sql`.

Over HTTP to the SQL port (ClickHouse's HTTP interface, JSONCompact), so that it works while the warehouse's process
owns the embedded engine, and just so against a ClickHouse server; or through a clickhouse-connect client in process.
Rendering (table, JSON, CSV) is the caller's.
"""

import http.client
import json
import re
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from streams.warehouse.errors import SqlUnreachableError, StatementRefusedError

# Seconds without a byte of the answer; the embedded server ends a query after 60 itself.
TIMEOUT_S: Final = 90.0
_PORTS: Final[dict[str, int]] = {"http": 8123, "https": 8443}
_FORMAT: Final = "JSONCompact"
_EXCEPTION: Final = re.compile(r"Code: (?P<code>\d+)\. DB::Exception: (?P<text>.*)", re.DOTALL)
# ` (version 26.9.2.1 (official build))` says nothing about the statement.
_VERSION: Final = re.compile(r"\s*\(version [^()]*(\([^()]*\))?\)\s*$")


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A result: names, ClickHouse types, and rows of plain JSON values (times as text, in UTC)."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def run(source: str | Client, sql: str, *, database: str | None = None) -> Table:
    """Run one statement.

    Args:
        source: `http(s)://[user:password@]host[:port]` of the SQL port or a server, or a client.
        sql: one statement without FORMAT; a semicolon at its end is taken.
        database: where unqualified names are looked up, over HTTP; a client has a database of its own.

    Raises:
        SqlUnreachableError: nobody answers there; names host and port.
        StatementRefusedError: ClickHouse refused it; its own words.
    """
    statement = sql.strip().rstrip(";").rstrip()
    if not statement:
        raise StatementRefusedError("The statement is empty: write one, such as SELECT * FROM campaign_funnel", code=62)
    body = _over_http(source, statement, database) if isinstance(source, str) else _in_process(source, statement)
    return _table(body)


def _over_http(url: str, statement: str, database: str | None) -> bytes:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise SqlUnreachableError(url.rpartition("@")[2], "no http(s)://host:port address")
    port = parts.port or _PORTS[parts.scheme]
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if parts.username:
        headers["X-ClickHouse-User"] = unquote(parts.username)
        headers["X-ClickHouse-Key"] = unquote(parts.password or "")
    wanted = database or parts.path.strip("/")
    parameters = {"default_format": _FORMAT} | ({"database": wanted} if wanted else {})
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", f"/?{urlencode(parameters)}", statement.encode(), headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise SqlUnreachableError(f"{parts.hostname}:{port}", _reason(error)) from error
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise _refused(body.decode("utf-8", "replace"), fallback=f"HTTP {response.status} {response.reason}")
    return body


def _in_process(client: Client, statement: str) -> bytes:
    try:
        return client.raw_query(statement, fmt=_FORMAT)
    except ClickHouseError as error:
        raise _refused(str(error), fallback=type(error).__name__) from error


def _table(body: bytes) -> Table:
    if not body.strip():  # a statement without a result
        return Table(columns=(), types=(), rows=())
    try:
        answer = json.loads(body)
        meta, data = answer["meta"], answer["data"]
        return Table(
            columns=tuple(column["name"] for column in meta),
            types=tuple(column["type"] for column in meta),
            rows=tuple(tuple(row) for row in data),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StatementRefusedError(
            "The answer is not in the format asked for: leave FORMAT out of the statement", code=None
        ) from error


def _refused(text: str, *, fallback: str) -> StatementRefusedError:
    found = _EXCEPTION.search(text)
    if found is None:
        return StatementRefusedError(text.strip().partition("\n")[0] or fallback, code=None)
    return StatementRefusedError(_VERSION.sub("", found["text"].strip()), code=int(found["code"]))


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else type(error).__name__
