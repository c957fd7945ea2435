"""How long an event takes from upstream's `produce` to what it caused being readable by a read-committed reader.

1. A process of ours with four partitions, each batch a transaction; a few events until it has taken them over.
2. Idle: one event at a time, the next a moment after the last was seen.
3. Busy: a steady stream, for which the loop gathers batches.

All times are taken in this process, on one clock; the reader asks the broker as readers do, with long polls.
"""

import random
import time
from collections.abc import Iterator
from typing import Final, Self

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from streams.operate.bench import events, processes, stage, workloads
from streams.operate.bench.workloads import PARTITIONS, Measured, Task
from streams.runtime import scratch_topics
from streams.runtime.children import Child
from streams.runtime.clients import librdkafka
from streams.runtime.settings import Settings

SOURCE: Final = "paced"
# Events until the clock counts: the group is joined, the partitions are taken over, every client has its connections.
FIRST: Final = 40
# Seconds between two events of an idle worker, at random: nothing of the one before is left to wait for.
IDLE_PAUSE_S: Final = (0.03, 0.07)
# Events a second of a busy worker: above what ends a partition's idle mode (window.py: 450), all four together far
# below what it can take.
BUSY_PER_S: Final = 2_400
# How often the probe sends what is due and looks at what came: its own share of a busy event's time.
TICK_S: Final = 0.005
READ: Final = 1_000
SEEN_S: Final = 60.0


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from produce to visible, of each event; and of the process, how it committed."""

    idle_ms: tuple[float, ...]
    busy_ms: tuple[float, ...]
    measured: Measured


def measure(settings: Settings, *, idle: int, busy: int) -> Latency | str:
    """Run the process and the probe; the words say what went wrong."""
    task = Task(
        workload="latency",
        side="transactions",
        run="latency",
        source=SOURCE,
        events=FIRST + idle + busy,
        first=FIRST + idle,
        last=0,
    )
    scratch_topics.make(settings, {settings.topic(SOURCE): PARTITIONS})
    stage.make_outputs(settings, task)
    process = workloads.process(task)
    with processes.started(settings, process) as child, _Probe(settings, task, child) as probe:
        try:
            probe.paced(FIRST)
            idle_ms = probe.paced(idle)
            busy_ms = probe.steady(busy)
        except TimeoutError as late:
            return str(late)
        measured = processes.outcome(settings, process, child)
    if isinstance(measured, str):
        return measured
    return Latency(idle_ms=idle_ms, busy_ms=busy_ms, measured=measured)


class _Probe:
    """Upstream and reader in one: it knows when it sent what, and when it saw it."""

    def __init__(self, settings: Settings, task: Task, child: Child) -> None:
        self._child = child
        self._topic = settings.topic(task.source)
        self._total = task.events
        self._next = 0
        self._sent: dict[bytes, float] = {}
        self._one = _upstream(settings, linger_ms=0)
        self._many = _upstream(settings, linger_ms=int(TICK_S * 1000))
        self._reader = Consumer(
            librdkafka(
                settings.kafka,
                group_id="bench-probe",  # librdkafka wants one; nothing is joined or committed
                enable_auto_commit=False,
                isolation_level="read_committed",
            )
        )
        output = settings.topic(task.output)
        self._reader.assign([TopicPartition(output, at, OFFSET_BEGINNING) for at in range(PARTITIONS)])
        self._pauses = random.Random(0)  # noqa: S311  # paces a probe

    def paced(self, count: int) -> tuple[float, ...]:
        """One at a time."""
        found: list[float] = []
        for _ in range(count):
            self._send(self._one)
            found += self._until(0)
            time.sleep(self._pauses.uniform(*IDLE_PAUSE_S))
        return tuple(found)

    def steady(self, count: int) -> tuple[float, ...]:
        """At a steady rate; returns when all are seen."""
        found: list[float] = []
        began = time.perf_counter()
        sent = 0
        while sent < count:
            due = min(count, 1 + int((time.perf_counter() - began) * BUSY_PER_S))
            for _ in range(due - sent):
                self._send(self._many)
            sent = due
            found += self._seen(at_most=READ, timeout_s=TICK_S)
        return (*found, *self._until(0))

    def _send(self, producer: Producer) -> None:
        value = events.value(self._next, events=self._total)
        self._sent[value] = time.perf_counter()
        producer.produce(self._topic, value, events.key(self._next, events=self._total).encode())
        producer.poll(0)
        self._next += 1

    def _until(self, open_events: int) -> list[float]:
        """Read until no more than so many are not seen."""
        found: list[float] = []
        deadline = time.monotonic() + SEEN_S
        while len(self._sent) > open_events:
            if time.monotonic() > deadline or not self._child.alive:
                raise TimeoutError(f"{len(self._sent):,} of {self._next:,} events not seen after {SEEN_S:.0f} s")
            found += self._seen(at_most=1, timeout_s=TICK_S)
        return found

    def _seen(self, *, at_most: int, timeout_s: float) -> Iterator[float]:
        messages: list[Message] = self._reader.consume(at_most, timeout_s)
        now = time.perf_counter()
        for message in messages:
            sent = self._sent.pop(message.value() or b"", None) if message.error() is None else None
            if sent is not None:
                yield (now - sent) * 1000

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for producer in (self._one, self._many):
            producer.flush(SEEN_S)
        self._reader.close()


def _upstream(settings: Settings, *, linger_ms: int) -> Producer:
    more = {"client_id": "bench-probe", "linger_ms": linger_ms, "acks": "all", "partitioner": "murmur2_random"}
    return Producer(librdkafka(settings.kafka, **more))
