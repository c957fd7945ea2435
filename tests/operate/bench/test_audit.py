"""The audit finds what a wrong run leaves in Kafka."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from streams.operate.bench import audit, events, stage
from streams.operate.bench.workloads import SOURCE, Measured, Task, Workload
from streams.runtime import scratch_topics
from streams.runtime.cluster import Publisher
from streams.runtime.settings import KafkaSettings, Settings
from tests.operate.bench.builders import measured

EVENTS = 500


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment whose source topic is filled."""
    found = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap=kafka_bootstrap, prefix=topic_prefix))
    stage.fill(found, EVENTS)
    return found


def task(settings: Settings, workload: Workload) -> Task:
    """One whose outputs are there, and empty."""
    made = Task(workload=workload, side="ours", run=workload, events=EVENTS, first=0, last=0)
    stage.make_outputs(settings, made)
    return made


def right(settings: Settings) -> Measured:
    """What a right process counts: every offset of the source once."""
    ends = scratch_topics.ends(settings, settings.topic(SOURCE))
    checksum = sum(sum(range(end)) for end in ends.values())
    return msgspec.structs.replace(measured(1_000), seen=EVENTS, checksum=checksum)


def commit(settings: Settings, task: Task, *, short: int = 0) -> None:
    """Commit each partition's end for the task's group, or so much less."""
    group = {"bootstrap.servers": settings.kafka.bootstrap, "group.id": settings.topic(task.run)}
    consumer = Consumer(group)
    source = settings.topic(SOURCE)
    ends = scratch_topics.ends(settings, source)
    consumer.commit(offsets=[TopicPartition(source, at, end - short) for at, end in ends.items()], asynchronous=False)
    consumer.close()


@pytest.mark.integration
def test_a_right_run_has_no_faults(settings: Settings) -> None:
    """Counted, committed, each person's count in the changelog (the last record of a key tells)."""
    work = task(settings, "table")
    commit(settings, work)
    with Publisher(settings) as publisher:
        for person, count in events.counts(EVENTS).items():
            for value in (1, count):
                publisher.send(stage.scratch(work.changelog), person.decode(), b"%d" % value)
    assert audit.faults(settings, work, right(settings)) == []


@pytest.mark.integration
def test_each_fault_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event lost, one doubled, one counted for another; offsets short of the end; a table that is behind."""
    monkeypatch.setattr(audit, "COMMITTED_S", 0.2)
    work = task(settings, "send")
    commit(settings, work, short=1)
    with Publisher(settings) as publisher:
        for number, (person, value) in enumerate(events.make(EVENTS)):
            for _ in range({7: 0, 8: 2}.get(number, 1)):
                publisher.send(stage.scratch(work.output), person, value)
    counted = right(settings)
    assert len(audit.faults(settings, work, counted)) == 2
    assert "1 records missing in the output, 1 too many" in audit.faults(settings, work, counted)[-1]
    for wrong in (
        msgspec.structs.replace(counted, seen=EVENTS - 1),
        msgspec.structs.replace(counted, checksum=counted.checksum - 1),
    ):
        assert len(audit.faults(settings, work, wrong)) == 3
    table = task(settings, "table")
    commit(settings, table)
    (words,) = audit.faults(settings, table, counted)
    assert words.startswith("50 of 50 persons")
