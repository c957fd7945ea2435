"""Read-only SQL over HTTP on loopback: curl, clickhouse-connect and notebooks query the embedded ClickHouse.

The process that owns the engine (the warehouse) starts a `SqlServer`: it speaks ClickHouse's HTTP interface
(sql_http.py), lets reading statements alone through (sql_guard.py), runs them beside the writer (sql_engine.py).
`run/sql.json` in the data directory tells other processes where it is.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.runtime.embedded import state
from streams.runtime.embedded.sql_engine import ReadOnlyEngine
from streams.runtime.embedded.sql_http import SqlHttpServer

__all__ = ["SqlServer"]

# Seconds: a ping on loopback is immediate unless its process hangs.
PING_TIMEOUT_S = 2.0


class SqlServer:
    """The server; a context manager that starts and stops it.

    Args:
        path: chDB's directory: the one path of this process (`streams.runtime.clickhouse.chdb_path(dsn)`).
        data_dir: where `run/sql.json` tells other processes of it; None tells nobody.
        port: on 127.0.0.1; None takes the last one if free, else any.
    """

    def __init__(self, path: str | Path, *, data_dir: Path | None = None, port: int | None = None) -> None:
        self._path = str(path)
        self._data_dir = data_dir
        self._port = port
        self._http: SqlHttpServer | None = None
        self._thread: threading.Thread | None = None

    @staticmethod
    def running(data_dir: Path) -> str | None:
        """The address (`http://127.0.0.1:PORT`) of the server that this data directory's warehouse runs; else None."""
        address = _last_address(data_dir)
        if address is None:
            return None
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=PING_TIMEOUT_S)
        try:
            connection.request("GET", "/ping")
            return address if connection.getresponse().read() == b"Ok.\n" else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    @property
    def port(self) -> int:
        """The port, once started."""
        if self._http is None:
            raise RuntimeError("The SQL server is not started: call start() first")
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, once started."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> str:
        """Listen, answer in threads of its own, return the address."""
        last = _last_address(self._data_dir) if self._data_dir else None
        port = self._port if self._port is not None else state.free_port(int(last.rpartition(":")[2]) if last else None)
        engine = ReadOnlyEngine(self._path)
        try:
            self._http = SqlHttpServer(port, engine)
        except OSError as failed:
            engine.close()
            raise OSError(
                failed.errno, f"SQL can't listen on 127.0.0.1:{port} ({failed.strerror}): choose another port, or none"
            ) from None
        self._thread = threading.Thread(target=self._http.serve_forever, name="sql-http", daemon=True)
        self._thread.start()
        if self._data_dir is not None:
            place = _state_file(self._data_dir)
            place.parent.mkdir(parents=True, exist_ok=True)
            draft = place.with_suffix(f".{os.getpid()}.tmp")
            draft.write_text(json.dumps({"host": "127.0.0.1", "port": self.port, "pid": os.getpid()}))
            draft.replace(place)
        return self.url

    def stop(self) -> None:
        """Stop listening and close the sessions; queries under way are finished first."""
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()
            self._http.engine.close()
            self._http = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _state_file(data_dir: Path) -> Path:
    return data_dir / "run" / "sql.json"


def _last_address(data_dir: Path) -> str | None:
    try:
        place = json.loads(_state_file(data_dir).read_text())
        return f"http://{place['host']}:{int(place['port'])}"
    except (OSError, ValueError, KeyError, TypeError):
        return None
