"""A worker that starts answers from its first second on, says what it waits for, and can be told to leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas import topics
from streams.operate.settings_tree import environment
from streams.runtime.clients import librdkafka
from streams.runtime.life.beginning import STANDS_S, Beginning
from streams.runtime.life.run_files import Readiness, has_left, running
from streams.runtime.settings import KafkaSettings, Settings
from tests.runtime.builders import deployed, until

SILENT = KafkaSettings(bootstrap="127.0.0.1:1")
MEMBER = "gate-7"
# Controls that no view can use, which is as slow to read as any: a second or more.
CONTROLS = 100_000


@contextmanager
def starting(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A gate's process, from when it tells the address of its health."""
    argv = [sys.executable, "-m", "agents", "gate", "--member", MEMBER]
    log = settings.data_dir / "log"
    with (
        log.open("w", encoding="utf-8") as words,
        subprocess.Popen(argv, env=environment(settings), stderr=words, text=True) as child,
    ):
        try:
            until(lambda: list(running(settings)), "an address")
            yield child
        except BaseException:
            sys.stderr.write(log.read_text(encoding="utf-8")[-5_000:])
            raise
        finally:
            child.kill()


def ask(settings: Settings, path: str) -> tuple[int, Any]:
    """Status and what was told."""
    (found,) = running(settings)
    try:
        with urllib.request.urlopen(found.health + path, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def waited_for(told: Any) -> dict[str, str]:
    """The conditions that don't hold, with their words."""
    return {one["name"]: one["detail"] for one in told["conditions"] if not one["ok"]}


def test_without_a_broker_it_is_alive_and_says_so_in_one_line(tmp_path: Path) -> None:
    """200, then 503 with the broker's address; nothing is ready, and SIGTERM ends the wait without a traceback."""
    settings = Settings(data_dir=tmp_path, kafka=SILENT)
    with starting(settings) as child:
        until(lambda: "waiting for the cluster" in (tmp_path / "log").read_text(), "the wait for the cluster")
        assert ask(settings, "/healthz") == (200, {"alive": True, "role": "gate", "member": MEMBER})
        status, told = ask(settings, "/readyz")
        assert (status, told["ready"], told["partitions"]) == (503, False, [])
        assert "127.0.0.1:1" in waited_for(told)["cluster"]
        child.terminate()
        assert child.wait(30) == -signal.SIGTERM
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line for line in lines if "event=health " in line]
    assert not [line for line in lines if "Traceback" in line]


def test_who_leaves_before_it_began_is_not_started_again(tmp_path: Path) -> None:
    """Scale-in while it waits for its cluster: an end at once, code 0, and the mark for whoever supervises it."""
    settings = Settings(data_dir=tmp_path, kafka=SILENT)
    with starting(settings) as child:
        os.kill(child.pid, signal.SIGUSR1)
        assert child.wait(30) == 0
        assert has_left(settings, MEMBER, child.pid)
        assert list(running(settings)) == []


@pytest.mark.integration
def test_while_its_views_are_read_it_is_alive_and_tells_how_far(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A big topic takes minutes: a liveness probe finds it alive, a readiness probe learns what is read."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path)
    upstream = Producer(librdkafka(settings.kafka, queue_buffering_max_messages=2 * CONTROLS, linger_ms=20))
    for number in range(CONTROLS):
        upstream.produce(settings.topic(topics.CONTROLS.name), b"{", b"%d" % number)
    assert upstream.flush(60) == 0
    seen: dict[str, set[str]] = {}

    def is_ready() -> bool:
        assert ask(settings, "/healthz")[0] == 200
        status, told = ask(settings, "/readyz")
        for name, detail in waited_for(told).items():
            seen.setdefault(name, set()).add(detail)
        return status == 200

    with starting(settings):
        until(is_ready, "a worker that is ready")
    assert any(detail.startswith("being read: ") for detail in seen["views"]), seen
    assert "start" not in seen and "loop" not in seen


def test_a_start_that_gets_no_further_is_not_alive(tmp_path: Path) -> None:
    """As long as its words change it gets on, however long it takes; with the same words it has its limit."""
    now, records = 0.0, 0
    settings = Settings(data_dir=tmp_path)
    beginning = Beginning(settings, Readiness(settings, role="gate", member=MEMBER), clock=lambda: now)
    try:
        beginning.waits_for("views", lambda: f"{records} records")
        for records in range(5):  # noqa: B007  # the step's words read it
            now += STANDS_S - 1
            assert beginning.runs().ok and not beginning.last.conditions[0].ok
        now += STANDS_S
        assert not beginning.runs().ok and "4 records" in beginning.runs().detail
        beginning.waits_for("name", lambda: "4 records")
        assert beginning.runs().ok
    finally:
        beginning.server.server_close()
