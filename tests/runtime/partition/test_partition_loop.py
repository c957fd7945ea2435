"""A partition decided in transactions: a kill at any moment changes no effect."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import psutil
import pytest

from schemas import topics
from streams.runtime.children import Child, spawn
from streams.runtime.cluster import Publisher
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.topic_admin import apply_topics
from tests.runtime.builders import deployed, read, until
from tests.runtime.partition.toy_worker import POISON

pytestmark = pytest.mark.integration

PERSONS = 50


def start(settings: Settings, log: Path, *, member: str = "gate-0") -> Child:
    """The toy worker as a process of its own."""
    program = Path(__file__).with_name("toy_worker.py")
    kafka = settings.kafka
    arguments = [str(settings.data_dir), str(kafka.bootstrap), kafka.prefix, member]
    return spawn([sys.executable, program, *arguments], log_file=log)


def publish(settings: Settings, numbers: range) -> None:
    """One event a number, each 97th of them poisoned."""
    with Publisher(settings) as publisher:
        for number in numbers:
            value = POISON if number % 97 == 0 else b"%d" % number
            publisher.send(topics.RECIPIENTS_MARKETING, f"acme:u{number % PERSONS}", value)


def more_than(settings: Settings, effects: int) -> bool:
    """Whether there are more effects than so many."""
    return len(read(settings, "sends.marketing")) > effects


def counted(settings: Settings) -> dict[bytes, int]:
    """What the changelog says of each person; the sources' offsets stand there as well."""
    found = {message.key() or b"": int(message.value() or 0) for message in read(settings, "gate-state")}
    return {key: count for key, count in found.items() if key.startswith(b"p/")}


def test_effects_are_there_exactly_once_whenever_the_worker_is_killed(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """SIGKILL twice amid batches: each event has one effect, and the table counts what the outputs say."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")
    events = 6_000
    worker = start(settings, tmp_path / "log")
    try:
        for part in range(3):
            before = len(read(settings, "sends.marketing"))
            publish(settings, range(part * events // 3, (part + 1) * events // 3))
            if part == 2:
                break
            until(partial(more_than, settings, before), "effects")
            worker.signal(signal.SIGKILL)
            worker.wait(10)
            worker = start(settings, tmp_path / "log")
        until(lambda: len(read(settings, "sends.marketing")) >= events, "all effects")
    finally:
        worker.stop()
    said = read(settings, "sends.marketing")
    sources = Counter((message.value() or b"").split()[0] for message in said)
    assert len(sources) == events
    assert set(sources.values()) == {1}
    rejected = sum((message.value() or b"").endswith(b"rejected") for message in said)
    assert rejected == len(range(0, events, 97))
    counts = counted(settings)
    assert sum(counts.values()) == events - rejected  # a poisoned event's write was taken back
    highest = Counter[bytes]()
    for message in said:
        key, what = message.key() or b"", (message.value() or b"").split()[1]
        highest[key] += what != b"rejected"
    assert counts == {b"p/" + key: count for key, count in highest.items()}


def test_a_worker_that_wakes_up_in_a_commit_after_its_session_ended_changes_nothing(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """SIGSTOP between a transaction's offsets and its commit, SIGCONT once the other has its partition.

    Each event has one effect, and both workers live on: the one that was fenced takes its share anew.
    """
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")
    workers = [start(settings, tmp_path / f"log-{n}", member=f"gate-{n}") for n in range(2)]
    sleeper = workers[0]
    try:
        until(lambda: all(b"partition recovered" in (tmp_path / f"log-{n}").read_bytes() for n in range(2)), "both")
        publish(settings, range(1, 97))
        until(lambda: len(read(settings, "sends.marketing")) >= 96, "effects of both")
        (settings.data_dir / "stop-gate-0").touch()
        publish(settings, range(98, 194))
        until(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_STOPPED, "a worker that stopped itself")
        until(lambda: len(read(settings, "sends.marketing")) >= 192, "the other worker to take over")
        sleeper.signal(signal.SIGCONT)
        publish(settings, range(195, 291))
        until(lambda: len(read(settings, "sends.marketing")) >= 288, "effects of all")
        assert all(worker.alive for worker in workers)
    finally:
        sleeper.signal(signal.SIGCONT)
        for worker in workers:
            worker.stop()
    sources = Counter((message.value() or b"").split()[0] for message in read(settings, "sends.marketing"))
    assert len(sources) == 288
    assert set(sources.values()) == {1}
    counts = counted(settings)
    assert sum(counts.values()) == 288


def test_a_worker_that_was_given_nothing_takes_its_partitions_when_they_show(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A broker that has just started shows topics without partitions: the group looks again within seconds."""
    kafka = KafkaSettings(
        bootstrap=kafka_bootstrap, prefix=topic_prefix, gate_partitions=2, slots=2, session_timeout_s=6.0
    )
    settings = Settings(data_dir=tmp_path / "data", kafka=kafka)
    log = tmp_path / "log"
    worker = start(settings, log)
    try:
        until(lambda: b"partitions=() event=assigned" in log.read_bytes(), "an assignment of nothing")
        apply_topics(settings)
        publish(settings, range(1, 97))
        until(lambda: len(read(settings, "sends.marketing")) >= 96, "effects")
    finally:
        worker.stop()
