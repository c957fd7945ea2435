"""ClickHouse by one DSN: `chdb:///path` (the engine in this process) or `http(s)://user:password@host:port/database`.

Both give a clickhouse-connect client with the same methods. A client of the embedded engine serialises its calls with a
lock of its own; give each thread its own client and they share the engine. chDB has one path per process: a second path
is refused with both named. Sessions are off, so that one HTTP client may be used by several threads (FAUST.md 34).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

__all__ = ["ClickHouseUnreachableError", "chdb_path", "connect"]

# Seconds: a server that doesn't take a TCP connection by then is down or far away.
CONNECT_TIMEOUT_S = 10


class ClickHouseUnreachableError(ConnectionError):
    """No engine answers behind the DSN; the message masks a password."""

    def __init__(self, dsn: str, reason: str) -> None:
        super().__init__(
            f"ClickHouse does not answer at {_masked(dsn)}: {reason}. Start it, or correct EVENPOST_CLICKHOUSE__DSN "
            "(chdb:///path or http(s)://user:password@host:port/database)"
        )


def chdb_path(dsn: str) -> str | None:
    """The directory that a `chdb:` DSN names, absolute and without symbolic links; None for a server's DSN."""
    parts = urlsplit(dsn)
    return str(Path(unquote(parts.path)).resolve()) if parts.scheme == "chdb" and not parts.netloc else None


def connect(dsn: str, *, database: str | None = None) -> Client:
    """A client; close it when done.

    Args:
        dsn: `chdb:///path`, `chdb://memory`, or `http(s)://…`.
        database: must exist; overrides the DSN's.

    Raises:
        ClickHouseUnreachableError: nobody answers, or the path can't be opened.
    """
    path = chdb_path(dsn)
    try:
        if path is not None:
            Path(path).mkdir(parents=True, exist_ok=True)
            return clickhouse_connect.get_client(dsn=f"chdb://{path}", database=database)
        if urlsplit(dsn).scheme == "chdb":
            return clickhouse_connect.get_client(dsn=dsn, database=database)
        return clickhouse_connect.get_client(
            dsn=dsn, database=database, autogenerate_session_id=False, connect_timeout=CONNECT_TIMEOUT_S
        )
    except (ClickHouseError, OSError, ImportError) as failed:
        raise ClickHouseUnreachableError(dsn, str(failed).splitlines()[0]) from failed


def _masked(dsn: str) -> str:
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))
