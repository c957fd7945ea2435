"""ClickHouse's HTTP interface, as far as a reader needs it: requests in, answers and errors in its form.

1. GET or POST `/`, `?query=` and the body together are the statement; `default_format`, `database`, `param_…` as
   ClickHouse has them. What concerns the transport (sessions, compression, progress) is taken and without effect; any
   other name would be a setting, and settings are refused as a ClickHouse user with readonly = 1 meets it.
2. The statement is checked and run (sql_guard.py, sql_engine.py); the answer has X-ClickHouse-Format and -Summary.
3. An error is `Code: N. DB::Exception: …` with the HTTP status that fits. `/ping` and `/` without a query say `Ok.`.
4. A Host other than this machine's loopback names is refused: no web page may reach in by a DNS name of its own.
"""

from __future__ import annotations

import json
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from streams.runtime.embedded.sql_engine import Answer, ReadOnlyEngine, SqlError

__all__ = ["SqlHttpServer"]

# Query parameters that concern the transport or a login, and have no effect here.
TRANSPORT = frozenset({
    "add_http_cors_header", "buffer_size", "cancel_http_readonly_queries_on_client_close", "client_protocol_version",
    "compress", "decompress", "enable_http_compression", "http_headers_progress_interval_ms", "log_queries",
    "password", "query_id", "quota_key", "role", "send_progress_in_http_headers", "session_check", "session_id",
    "session_timeout", "user", "wait_end_of_query",
})  # fmt: skip
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
# ClickHouse's max_query_size: a statement is no upload.
MAX_QUERY_BYTES = 262_144
# Seconds that an idle keep-alive connection holds its thread.
IDLE_S = 60
# ClickHouse's exceptionCodeToHTTPStatus, as far as a reader meets it; READONLY is 403 here.
STATUS = {
    47: 404, 46: 404, 60: 404, 81: 404, 16: 404,
    62: 400, 6: 400, 26: 400, 27: 400, 36: 400, 38: 400, 41: 400, 42: 400, 43: 400, 53: 400, 70: 400, 73: 400,
    456: 400, 457: 400, 115: 400, 164: 403, 497: 403, 159: 408, 202: 503,
}  # fmt: skip


class SqlHttpServer(ThreadingHTTPServer):
    """A thread for each connection; `engine` answers."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, engine: ReadOnlyEngine) -> None:
        self.engine = engine
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Evenpost"
    sys_version = ""
    timeout = IDLE_S
    # Head and body leave in one segment: apart, Nagle and delayed ACKs make each answer wait 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: a query is the analyst's, and stderr the operator's."""

    def _answer(self) -> None:
        self._query_id = str(uuid.uuid4())
        try:
            self._check_host()
            path, parameters = self._parameters()
            body = self._body()
            if path not in {"/", "/ping", "/replicas_status"}:
                self._send(404, f"There is no handle {path}\n\nUse / or /ping for health checks.\n".encode())
            elif path != "/" or not (parameters.get("query") or body):
                self._send(200, b"Ok.\n")
            else:
                self._send_result(self._run(parameters, body))
        except SqlError as failed:
            self._send_error(failed)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception as failed:  # noqa: BLE001 - a fault of ours must be an answer too, and never end the server
            self._send_error(SqlError(f"{type(failed).__name__}: {failed}. (LOGICAL_ERROR)", code=49))

    def _check_host(self) -> None:
        name = urlsplit("//" + self.headers.get("Host", "127.0.0.1")).hostname
        if name not in LOOPBACK_NAMES:
            self.close_connection = True
            raise SqlError(
                f"Host {name}: this port answers on 127.0.0.1 and localhost alone. (ACCESS_DENIED)", code=497
            )

    def _parameters(self) -> tuple[str, dict[str, str]]:
        address = urlsplit(self.path)
        return address.path, dict(parse_qsl(address.query, keep_blank_values=True))

    def _body(self) -> str:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = self._chunks()
        else:
            length = int(self.headers.get("Content-Length") or 0)
            self._check_size(length)
            data = self.rfile.read(length)
        if self.headers.get("Content-Encoding", "identity") != "identity":
            raise SqlError("A compressed body is an insert's, and this port is read-only. (READONLY)", code=164)
        if self.headers.get_content_type() == "multipart/form-data":
            raise SqlError("External data are not taken here: this port is read-only. (NOT_IMPLEMENTED)", code=48)
        return data.decode("utf-8", errors="replace")

    def _chunks(self) -> bytes:
        data = bytearray()
        while size := int(self.rfile.readline(32).split(b";")[0] or b"0", 16):
            self._check_size(len(data) + size)
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(data)

    def _check_size(self, length: int) -> None:
        if length > MAX_QUERY_BYTES:
            self.close_connection = True
            raise SqlError(f"Max query size exceeded ({length} > {MAX_QUERY_BYTES} bytes). (SYNTAX_ERROR)", code=62)

    def _run(self, parameters: dict[str, str], body: str) -> Answer:
        query = parameters.pop("query", "")
        statement = f"{query}\n{body}" if query and body else query or body
        default_format = parameters.pop("default_format", "") or self.headers.get("X-ClickHouse-Format", "TabSeparated")
        database = parameters.pop("database", "") or self.headers.get("X-ClickHouse-Database")
        self._query_id = parameters.get("query_id") or self._query_id
        bound = {name.removeprefix("param_"): v for name, v in parameters.items() if name.startswith("param_")}
        setting = next((n for n in parameters if n not in TRANSPORT and not n.startswith("param_")), None)
        if setting is not None:
            raise SqlError(f"Cannot modify '{setting}' setting in readonly mode. (READONLY)", code=164)
        engine = cast("SqlHttpServer", self.server).engine
        return engine.query(statement, default_format=default_format, database=database, parameters=bound)

    def _send_result(self, answer: Answer) -> None:
        summary = {
            "read_rows": str(answer.read_rows),
            "read_bytes": str(answer.read_bytes),
            "written_rows": "0",
            "written_bytes": "0",
            "result_rows": str(answer.rows),
            "result_bytes": str(len(answer.body)),
            "elapsed_ns": str(answer.elapsed_ns),
        }
        self._send(
            200, answer.body, {"X-ClickHouse-Format": answer.format, "X-ClickHouse-Summary": json.dumps(summary)}
        )

    def _send_error(self, failed: SqlError) -> None:
        self._send(
            STATUS.get(failed.code, 500), f"{failed}\n".encode(), {"X-ClickHouse-Exception-Code": str(failed.code)}
        )

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        engine = cast("SqlHttpServer", self.server).engine
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Query-Id", "".join(c for c in self._query_id if c.isprintable() and c.isascii()))
        self.send_header("X-ClickHouse-Timezone", engine.timezone)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
