"""FEEDBACK as a process: requests become entries, whatever happens to the worker."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Message

from agents.views import replicate
from schemas import topics
from schemas.events import Suppression
from streams.runtime.children import Child, spawn
from streams.runtime.cluster import Publisher
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.settings import Settings
from tests.runtime.builders import deployed, read, until

pytestmark = pytest.mark.integration

REQUESTS = 40


def start(settings: Settings, log: Path) -> Child:
    """A feedback worker."""
    kafka = settings.kafka
    more = {
        "EVENPOST_DATA_DIR": str(settings.data_dir),
        "EVENPOST_KAFKA__BOOTSTRAP": str(kafka.bootstrap),
        "EVENPOST_KAFKA__PREFIX": kafka.prefix,
        "EVENPOST_KAFKA__SESSION_TIMEOUT_S": "6",
    }
    return spawn([sys.executable, "-m", "agents", "feedback"], log_file=log, env=os.environ | more)


def request(action: str, number: int) -> bytes:
    """What upstream says of one address."""
    return msgspec.json.encode(
        {
            "action": action,
            "scope": "tenant:acme",
            "reason": "unsubscribe",
            "channel": "mail",
            "address": f"u{number}@example.com",
            "source": "test",
            "at": "2026-11-24T00:00:00Z",
        }
    )


def standing(messages: list[Message]) -> int:
    """How many addresses are suppressed at the end."""
    last = {message.key(): message.value() for message in messages}
    return sum(value is not None for value in last.values())


def test_each_request_counts_in_its_order_whenever_the_worker_is_killed(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Adds, a kill, lifts of half of them: what was said last stands.  What is no request is one dead letter."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")
    group = GroupOffsets(settings.kafka, f"{settings.kafka.prefix}feedback")
    requests = settings.topic(topics.SUPPRESSION_REQUESTS.name)

    def done() -> int:
        found = [group.stable([requests], partition) for partition in range(8)]
        return sum(offsets[requests] for offsets in found if offsets is not None)

    worker = start(settings, tmp_path / "log")
    try:
        with Publisher(settings) as publisher:
            for number in range(REQUESTS):
                publisher.send(topics.SUPPRESSION_REQUESTS, "tenant:acme", request("add", number))
            publisher.send(topics.SUPPRESSION_REQUESTS, "tenant:acme", b"[]")
            publisher.flush()
            until(lambda: read(settings, "suppressions"), "an entry")
            worker.signal(signal.SIGKILL)
            worker.wait(10)
            for number in range(0, REQUESTS, 2):
                publisher.send(topics.SUPPRESSION_REQUESTS, "tenant:acme", request("lift", number))
        worker = start(settings, tmp_path / "log")
        until(lambda: done() == REQUESTS + 1 + REQUESTS // 2, "all requests")
    finally:
        worker.stop()
        group.close()
    entries = read(settings, "suppressions")
    assert standing(entries) == REQUESTS // 2
    assert {msgspec.json.decode(one.value() or b"", type=Suppression).reason for one in entries if one.value()} == {
        "unsubscribe"
    }
    # A view, which does not wait for commits, comes to the end of them all the same: markers are no records.
    world, replication = replicate(settings, "gate-0", (topics.SUPPRESSIONS,))
    until(replication.fresh, "a view that is confirmed")
    replication.close()
    assert world.offsets["suppressions"] > len(entries)
    (letter,) = read(settings, "dead-letters")
    headers = dict(letter.headers() or ())
    assert (headers["reason"], headers["role"], letter.value()) == (b"malformed", b"feedback", b"[]")
    assert b"@" not in (tmp_path / "log").read_bytes()
