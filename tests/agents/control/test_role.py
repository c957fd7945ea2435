"""CONTROL as a process: what it makes of upstream's word, and who of two does it."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from schemas import topics
from schemas.events import Content, Demand, Lease, WarmupDay
from streams.runtime.children import Child, spawn
from streams.runtime.cluster import Publisher
from streams.runtime.settings import Settings
from streams.spread.providers import PROVIDERS
from tests.runtime.builders import deployed, read, until

pytestmark = pytest.mark.integration

TENANT = b"""{"tenant": "acme", "name": "Acme", "domains": [{"domain": "acme.example",
  "return_path_domain": "bounces.acme.example", "dkim": [{"selector": "s1", "key_file": "acme.pem"}]}]}"""
CAMPAIGN = b"""{"tenant": "acme", "campaign_id": "autumn", "kind": "marketing", "subject": "Autumn",
  "from": {"address": "news@acme.example"}, "text": "Leaves.", "pace_per_s": 6}"""
EGRESS = b"""{"slot": 1, "ehlo": "m1.example", "via": {"kind": "smarthost", "host": "127.0.0.1", "port": 9}}"""
NEW_IP = b"""{"slot": 0, "via": {"kind": "bind", "address": "192.0.2.7"}, "ehlo": "m7.mail.example",
  "warmup": {"started_at": "2026-11-24T00:00:00Z", "initial_per_day": 30}}"""


def demand(waiting: int) -> bytes:
    """What gate partition 0 tells, now."""
    return msgspec.json.encode(Demand(gate_partition=0, at=datetime.now(UTC), capacity={"shared/other": waiting}))


def start(settings: Settings, log: Path, member: str) -> Child:
    """A control worker."""
    kafka = settings.kafka
    more = {
        "EVENPOST_DATA_DIR": str(settings.data_dir),
        "EVENPOST_KAFKA__BOOTSTRAP": str(kafka.bootstrap),
        "EVENPOST_KAFKA__PREFIX": kafka.prefix,
        "EVENPOST_KAFKA__GATE_PARTITIONS": "2",
        "EVENPOST_KAFKA__SLOTS": "2",
        "EVENPOST_KAFKA__SESSION_TIMEOUT_S": "6",
    }
    return spawn([sys.executable, "-m", "agents", "control", "--member", member], log_file=log, env=os.environ | more)


def issued(settings: Settings) -> list[Lease]:
    """All leases so far, in the topic's order."""
    found = read(settings, "leases", isolation="read_uncommitted")
    return [msgspec.json.decode(message.value() or b"", type=Lease) for message in found]


def latest(settings: Settings) -> datetime:
    """When the newest lease was issued."""
    return max(lease.issued_at for lease in issued(settings))


def test_one_of_two_is_active_and_one_that_was_stopped_does_nothing_more(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Stopped past its session, its successor leases; awake again it finds itself put out before it has leased.

    Whoever is active says the first day of an IP that warms up, at each provider.
    """
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")
    with Publisher(settings) as publisher:
        publisher.send(topics.TENANTS, "acme", TENANT)
        publisher.send(topics.CAMPAIGNS, "acme:autumn", CAMPAIGN)
        publisher.send(topics.CAMPAIGNS, "acme:broken", b"[]")
        publisher.send(topics.EGRESS, "0", NEW_IP)
        publisher.send(topics.EGRESS, "1", EGRESS)
    first = start(settings, tmp_path / "first", "control-a")
    workers = [first]
    try:
        until(lambda: issued(settings), "a first lease")
        with Publisher(settings) as publisher:
            publisher.send(topics.DEMANDS, "0", demand(90_000))
        until(lambda: any(one.per_pool_s["shared"] > 300 for one in issued(settings)), "a lease by demand")
        workers.append(start(settings, tmp_path / "second", "control-b"))
        until(lambda: b"ready" in (tmp_path / "second").read_bytes(), "the second")
        first.signal(signal.SIGSTOP)
        time.sleep(1.0)  # what it had sent is there
        before = len(issued(settings))
        until(lambda: len(issued(settings)) >= before + 6, "its successor's leases")
        first.signal(signal.SIGCONT)
        awake = latest(settings)
        until(lambda: (latest(settings) - awake).total_seconds() > 5, "five seconds of leases")
    finally:
        for worker in workers:
            worker.signal(signal.SIGCONT)
            worker.stop()
    leases = issued(settings)
    since = [lease.issued_at for lease in leases[before:] if lease.gate_partition == 0]
    assert since == sorted(since)
    # One each second: two that lease at once would be two.  One turn may end late.
    assert len(since) <= (since[-1] - since[0]).total_seconds() + 2
    assert {sum(one.pace_per_s["acme:autumn"] for one in leases[:2])} == {6.0}
    # Nothing is known of the two slots, so each is granted a window; by now what was demanded is too long ago.
    assert [one.per_pool_s["shared"] for one in leases[-2:]] == [200.0, 200.0]
    (content,) = read(settings, "contents")
    assert msgspec.json.decode(content.value() or b"", type=Content).state == "compiled"
    (letter,) = read(settings, "dead-letters")
    assert letter.value() == b"[]"
    days = [
        msgspec.json.decode(one.value() or b"", type=WarmupDay)
        for one in read(settings, "warmups", isolation="read_uncommitted")
    ]
    assert {one.provider for one in days} == PROVIDERS
    assert {(one.slot, one.stage, one.allowance) for one in days} == {(0, 0, 30)}
