"""What a worker answers over HTTP, from threads of its own, so that a loop that stands still is seen.

`/healthz`: 200 while the event loop runs, or the start gets on, else 503: start it anew.
`/readyz`: 200 when every condition holds, else 503 with those that don't; JSON either way.
`/metrics`: Prometheus' text form.

On loopback unless `worker.http_host` says otherwise.  GET and HEAD alone; at most AT_ONCE connections, each bounded in
time: who asks in a strange way can't take a worker's memory.
"""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.runtime import metrics
from streams.runtime.errors import RuntimeFault
from streams.runtime.life.vitals import NO_PARTITION, Seen
from streams.runtime.settings import WorkerSettings

# A Prometheus, a kubelet and a person, and room.
AT_ONCE: Final = 8
# Seconds that a connection may take to say what it wants.
PATIENCE_S: Final = 5.0
_JSON: Final = "application/json"


class HealthPortError(RuntimeFault):
    """The address of health and metrics can't be had."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"worker.http_host, worker.http_port = {host}:{port}: {reason}; choose another EVENPOST_WORKER__HTTP_PORT "
            "(0 takes a free one) or EVENPOST_WORKER__HTTP_HOST"
        )


Answer = tuple[HTTPStatus, str, bytes]


class HealthServer(ThreadingHTTPServer):
    """Serves one worker's health until stopped.  Raises HealthPortError when its address can't be had."""

    daemon_threads = True
    block_on_close = False
    # Of a worker that restarts, connections of its former self may still wait in TIME_WAIT.
    allow_reuse_address = True

    def __init__(self, worker: WorkerSettings, seen: Seen, *, role: str, member: str) -> None:
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._seen = seen
        self._who = {"role": role, "member": member}
        try:
            super().__init__((worker.http_host, worker.http_port), _Handler)
        except OSError as error:
            raise HealthPortError(worker.http_host, worker.http_port, error.strerror or str(error)) from error
        host, port = self.server_address[:2]
        self.url = f"http://{host!s}:{port}"
        self.routes: dict[str, Callable[[], Answer]] = {
            "/healthz": self._alive,
            "/readyz": self._ready,
            "/metrics": _metrics,
        }

    def start(self) -> None:
        """Answer, from a thread."""
        threading.Thread(target=self.serve_forever, name="health", daemon=True).start()

    def show(self, seen: Seen) -> None:
        """Answer by this from now on."""
        self._seen = seen

    def stop(self) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread each, while there is room; who comes beyond that is let go."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Give the room back at the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is nobody's news."""

    def _alive(self) -> Answer:
        runs = self._seen.runs()
        if runs.ok:
            return HTTPStatus.OK, _JSON, json.dumps({"alive": True} | self._who).encode()
        words = {"alive": False, "reason": runs.detail} | self._who
        return HTTPStatus.SERVICE_UNAVAILABLE, _JSON, json.dumps(words).encode()

    def _ready(self) -> Answer:
        look = self._seen.last
        told = (*look.conditions, self._seen.runs())
        conditions = [{"name": one.name, "ok": one.ok, "detail": one.detail} for one in told]
        ready = bool(look.conditions) and all(one.ok for one in told)
        owned = sorted({one.partition for one in look.progress} - {NO_PARTITION})
        words = {"ready": ready} | self._who | {"conditions": conditions, "partitions": owned, "held": look.held}
        return (HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE), _JSON, json.dumps(words).encode()


def _metrics() -> Answer:
    return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(metrics.REGISTRY)


class _Handler(BaseHTTPRequestHandler):
    server: HealthServer
    server_version = "Evenpost"
    sys_version = ""
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Say nothing: a probe each second is no news."""

    def _answer(self, *, with_body: bool) -> None:
        route = self.server.routes.get(self.path.partition("?")[0])
        if route is None:
            status, kind, body = HTTPStatus.NOT_FOUND, "text/plain", b"/healthz, /readyz and /metrics are here\n"
        else:
            status, kind, body = route()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)
