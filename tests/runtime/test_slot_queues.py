"""What waits in a slot's queue, as CONTROL reads it from aside: on a real broker, with a gate's real transactions."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas import topics
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.settings import KafkaSettings, Settings
from streams.runtime.slot_queues import SlotQueues
from tests.runtime.builders import deployed, until

pytestmark = pytest.mark.integration

SLOTS = 64


class Deployment:
    """Its gates and its senders, played by the test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.queues = SlotQueues(settings)
        self._producers: list[Producer] = []
        self.gate = self.another_gate()
        self._group = Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap,
                "group.id": f"{settings.kafka.prefix}sender",
                "enable.auto.commit": False,
            }
        )

    def another_gate(self) -> Producer:
        """A producer of transactions."""
        name = f"{self.settings.kafka.prefix}gate-{len(self._producers)}"
        found = Producer({"bootstrap.servers": self.settings.kafka.bootstrap, "transactional.id": name})
        found.init_transactions(30)
        self._producers.append(found)
        return found

    def deal(self, slot: int, sends: int, *, gate: Producer | None = None) -> None:
        """One transaction with so many sends."""
        one = gate or self.gate
        one.begin_transaction()
        for _ in range(sends):
            one.produce(self.settings.topic(topics.SENDS_MARKETING.name), b"{}", b"k", slot)
        one.commit_transaction(30)

    def commit(self, slot: int, offset: int, note: str, *, lane: str = topics.SENDS_MARKETING.name) -> None:
        """What a slot's owner would."""
        self._group.commit(offsets=[TopicPartition(self.settings.topic(lane), slot, offset, note)], asynchronous=False)

    def waiting(self, slot: int) -> int:
        """As read now."""
        return self.queues.read([slot])[slot].waiting

    def close(self) -> None:
        """Close all."""
        self.queues.close()
        self._group.close()


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[Deployment]:
    """Of as many slots as a deployment has by default."""
    found = Deployment(deployed(kafka_bootstrap, topic_prefix, tmp_path, slots=SLOTS))
    yield found
    found.close()


def test_what_waits_is_what_was_not_begun_and_what_is_open(deployment: Deployment) -> None:
    """One receiver that takes minutes holds the offset back, and not what is said of the slot."""
    deployment.deal(1, 100)
    until(lambda: deployment.waiting(1) == 101, "the commit's marker, which looks like a send")
    deployment.commit(1, 5, "17/90/3")
    queue = deployment.queues.read([1])[1]
    assert (queue.waiting, queue.done) == (14, 87)
    deployment.commit(1, 5, "18")  # of a version that did not say so
    assert deployment.waiting(1) == 96


def test_a_queue_at_its_end_is_empty_whatever_markers_lie_behind_it(deployment: Deployment) -> None:
    """Of several gates' transactions; known with the second reading, until there is a send again."""
    gates = [deployment.gate, *(deployment.another_gate() for _ in range(2))]
    for gate in gates:
        deployment.deal(2, 1, gate=gate)
    deployment.commit(2, 5, "1/5/0")  # behind the third send; its transaction's marker follows
    until(lambda: deployment.waiting(2) == 0, "an empty queue")
    assert deployment.waiting(2) == 0
    deployment.deal(2, 3)
    until(lambda: deployment.waiting(2) == 4, "three sends and a marker")
    assert deployment.waiting(2) == 4  # it was looked into: there is something
    assert deployment.waiting(2) == 4


def test_a_mark_is_another_when_either_lane_moves(deployment: Deployment) -> None:
    """A slot that is busy with transactional mail does not stand still."""
    deployment.deal(3, 10)
    until(lambda: deployment.waiting(3) == 11, "the commit's marker")
    first, second = (deployment.queues.read([3])[3] for _ in range(2))
    assert first.mark == second.mark
    deployment.commit(3, 7, "1/7/0", lane=topics.SENDS_TRANSACTIONAL.name)
    third = deployment.queues.read([3])[3]
    assert third.mark != second.mark
    assert third.waiting == second.waiting


def test_reading_all_slots_each_second_costs_next_to_nothing(deployment: Deployment) -> None:
    """64 slots with something in each: below 1 % of a core at one reading a second."""
    for slot in range(SLOTS):
        deployment.deal(slot, 2)
        deployment.commit(slot, 1, "1/1/0")
    for _ in range(3):  # looked into, once
        assert len(deployment.queues.read(range(SLOTS))) == SLOTS
    readings, cpu = 20, _cpu_s()
    for _ in range(readings):
        deployment.queues.read(range(SLOTS))
    cost_ms = (_cpu_s() - cpu) / readings * 1000
    assert cost_ms < 10


def test_a_cluster_that_is_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is no queue of zero."""
    monkeypatch.setattr("streams.runtime.observer.ANSWER_S", 0.2)
    queues = SlotQueues(Settings(kafka=KafkaSettings(bootstrap="127.0.0.1:1")))
    with pytest.raises(ClusterUnreachableError):
        queues.read([1])
    assert queues.read([]) == {}
    queues.close()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
