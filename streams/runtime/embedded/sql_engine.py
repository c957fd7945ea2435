"""Read-only connections to the embedded ClickHouse: guarded statements in, bytes in any format out.

A few connections, each of its own `readonly = 1` session with limits, are lent to one query at a time. They share the
engine of the process (chDB: one path per process) with the warehouse's writer, which has its own connection and lock.
"""

from __future__ import annotations

import queue
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from streams.runtime.embedded.errors import ExtraMissing
from streams.runtime.embedded.sql_guard import Refused, Statement, check

__all__ = ["Answer", "ReadOnlyEngine", "SqlError"]

# Queries at once: the machine is shared with the mail. Seconds a query waits for its turn, and may take.
CONNECTIONS = 4
TURN_LIMIT_S = 30.0
# A query of an analyst that needs more than this belongs on a ClickHouse server of its own.
LIMITS = {"max_execution_time": 60, "max_memory_usage": 2_000_000_000, "max_result_bytes": 500_000_000}
ERROR = re.compile(r"(?:Code: \d+\. DB::Exception: )*Code: (?P<code>\d+)\. DB::Exception: (?P<text>.*)", re.DOTALL)


class SqlError(Exception):
    """The engine's error, or our refusal, with ClickHouse's code."""

    def __init__(self, text: str, *, code: int) -> None:
        self.code = code
        super().__init__(f"Code: {code}. DB::Exception: {text}")


class Answer(msgspec.Struct, frozen=True):
    """A result: its bytes, in the format named, and what was read for it."""

    body: bytes
    format: str
    rows: int
    read_rows: int
    read_bytes: int
    elapsed_ns: int


class ReadOnlyEngine:
    """A pool of read-only sessions on the chDB engine at `path`."""

    def __init__(self, path: str) -> None:
        try:
            import chdb  # noqa: PLC0415 - the extra is needed only when ClickHouse is embedded
        except ImportError as missing:
            raise ExtraMissing("chdb") from missing
        self._pool: queue.LifoQueue[Any] = queue.LifoQueue()
        self._table_functions: frozenset[str] = frozenset()
        self._database = "default"
        for _ in range(CONNECTIONS):
            session: Any = chdb.connect(path)  # type: ignore[no-untyped-call]  # the library's own
            for name, value in LIMITS.items():
                session.query(f"SET {name} = {value}")
            session.query("SET readonly = 1")
            self._pool.put(session)
        self.version, self.timezone, self._database = (
            self.query("SELECT version(), timezone(), currentDatabase()").body.decode().strip().split("\t")
        )
        listed = self.query("SELECT lower(name) FROM system.table_functions").body.decode().split()
        self._table_functions = frozenset(listed)

    def query(
        self,
        sql: str,
        *,
        default_format: str = "TabSeparated",
        database: str | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run one read-only statement.

        Raises:
            SqlError: refused, or failed in the engine.
        """
        statement = self.check(sql)
        wanted = statement.format or default_format
        if not wanted.isidentifier():
            raise SqlError(f"Unknown format {wanted!r}. (UNKNOWN_FORMAT)", code=73)
        try:
            session = self._pool.get(timeout=TURN_LIMIT_S)
        except queue.Empty:
            raise SqlError(f"{CONNECTIONS} queries run already. (TOO_MANY_SIMULTANEOUS_QUERIES)", code=202) from None
        try:
            return self._run(session, statement.sql, wanted=wanted, database=database, parameters=parameters or {})
        finally:
            self._pool.put(session)

    def check(self, sql: str) -> Statement:
        """The statement, if it only reads.

        Raises:
            SqlError: refused.
        """
        try:
            return check(sql, table_functions=self._table_functions)
        except Refused as refused:
            raise SqlError(f"{refused}. ({refused.name})", code=refused.code) from None

    def _run(
        self, session: Any, sql: str, *, wanted: str, database: str | None, parameters: Mapping[str, str]
    ) -> Answer:
        try:
            session.query(f"USE {_quoted(database or self._database)}")
            result = session.query(sql, wanted, params=dict(parameters))
        except RuntimeError as failed:
            raise _sql_error(str(failed)) from None
        return Answer(
            body=bytes(result.bytes() or b""),
            format=wanted,
            rows=result.rows_read(),
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            elapsed_ns=int(result.elapsed() * 1e9),
        )

    def close(self) -> None:
        """Close the sessions as they come back from their queries; the engine goes with the last connection."""
        for _ in range(CONNECTIONS):
            try:
                self._pool.get(timeout=TURN_LIMIT_S).close()
            except queue.Empty:
                return


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _sql_error(text: str) -> SqlError:
    found = ERROR.search(text)
    if found is None:
        return SqlError(f"{text.strip()} (UNKNOWN_EXCEPTION)", code=1002)
    return SqlError(found["text"].strip(), code=int(found["code"]))
