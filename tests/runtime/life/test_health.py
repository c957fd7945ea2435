"""What a worker answers over HTTP about itself, and that nobody can hold it up by asking."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from streams.runtime import metrics
from streams.runtime.life.health import AT_ONCE, HealthPortError, HealthServer
from streams.runtime.life.vitals import ALIVE_S, Condition, Progress, Pulse, Reach, Vitals
from streams.runtime.settings import WorkerSettings


@dataclass
class Role:
    """A role whose state the test sets."""

    conditions: list[Condition] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    now: float = 0.0


@pytest.fixture
def role() -> Role:
    """Ready, with one partition."""
    reach = Reach(topic="t", done=3, end=5)
    return Role(
        conditions=[Condition(name="owned", ok=True, detail="1 partitions")],
        progress=[Progress(partition=4, reaches=(reach,), patience_s=60.0)],
    )


@pytest.fixture
def pulse(role: Role) -> Pulse:
    """Its pulse, taken once."""
    vitals = Vitals(conditions=lambda: role.conditions, progress=lambda: role.progress)
    made = Pulse(vitals, clock=lambda: role.now)
    made.look()
    return made


@pytest.fixture
def server(pulse: Pulse) -> Iterator[HealthServer]:
    """On a free port of loopback."""
    made = HealthServer(WorkerSettings(), pulse, role="gate", member="gate-0")
    made.start()
    yield made
    made.stop()


def ask(server: HealthServer, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Status and body."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ready(server: HealthServer) -> tuple[int, Any]:
    """The answer of /readyz."""
    status, body = ask(server, "/readyz")
    return status, json.loads(body)


def test_a_ready_worker_says_so_with_each_condition(server: HealthServer) -> None:
    """200, its name, its partitions, and that the loop runs."""
    status, told = ready(server)
    assert status == 200
    assert (told["ready"], told["member"], told["partitions"], told["held"]) == (True, "gate-0", [4], None)
    assert [one["name"] for one in told["conditions"]] == ["owned", "loop"]
    assert server.url.startswith("http://127.0.0.1:")


def test_a_condition_that_does_not_hold_is_named(server: HealthServer, pulse: Pulse, role: Role) -> None:
    """503 with the reason; health is another matter."""
    role.conditions.append(Condition(name="views", ok=False, detail="their end is not confirmed"))
    pulse.look()
    status, told = ready(server)
    assert status == 503
    assert [one for one in told["conditions"] if not one["ok"]] == [
        {"name": "views", "ok": False, "detail": "their end is not confirmed"}
    ]
    assert ask(server, "/healthz")[0] == 200


def test_a_loop_that_stands_still_is_neither_alive_nor_ready(server: HealthServer, role: Role) -> None:
    """The answer comes from a thread: it needs no event loop to say that there is none."""
    role.now = ALIVE_S - 0.1
    assert ask(server, "/healthz")[0] == 200 and ready(server)[0] == 200
    role.now = ALIVE_S
    status, body = ask(server, "/healthz")
    assert (status, json.loads(body)["reason"]) == (503, "the event loop stands still")
    status, told = ready(server)
    assert status == 503 and told["conditions"][-1]["name"] == "loop" and not told["conditions"][-1]["ok"]


def test_metrics_are_prometheus_text(server: HealthServer) -> None:
    """With the lag that the latest look saw."""
    status, body = ask(server, "/metrics")
    assert status == 200
    assert 'evenpost_lag_events{partition="4",topic="t"} 2.0' in body.decode()
    assert metrics.REGISTRY.get_sample_value("evenpost_lag_events", {"topic": "t", "partition": "4"}) == 2.0


def test_only_reading_is_answered(server: HealthServer) -> None:
    """HEAD has no body, another path is 404, another method 501."""
    assert ask(server, "/healthz", "HEAD") == (200, b"")
    assert ask(server, "/")[0] == 404
    assert ask(server, "/healthz", "POST")[0] == 501


def test_idle_connections_do_not_lock_others_out_for_long(server: HealthServer) -> None:
    """Who connects and says nothing takes one of a few places, and loses it within seconds."""
    host, port = urlsplit(server.url).hostname, urlsplit(server.url).port
    silent = [socket.create_connection((host, port)) for _ in range(AT_ONCE + 4)]
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert ask(server, "/healthz")[0] == 200
                break
            except (ConnectionError, http.client.HTTPException):
                assert time.monotonic() < deadline
                time.sleep(0.2)
    finally:
        for one in silent:
            one.close()


def test_a_port_that_is_taken_is_an_error_that_names_the_setting(pulse: Pulse) -> None:
    """Address, reason, and what to set."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(HealthPortError, match=rf"127.0.0.1:{port}: .*in use.*EVENPOST_WORKER__HTTP_PORT"):
            HealthServer(WorkerSettings(http_port=port), pulse, role="gate", member="gate-0")
