"""Acks of a plain Faust agent: done is what is durable, and a failure has its tries, its letter and its fuse."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas import ids, topics
from streams.runtime.app import make_app
from streams.runtime.children import Child, spawn
from streams.runtime.cluster import Publisher
from streams.runtime.partition import acks as acks_module
from streams.runtime.partition.acks import Acks, Send
from streams.runtime.partition.deciding import Received
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings, WorkerSettings
from tests.runtime.builders import LIMIT_S, deployed, read, until
from tests.runtime.partition.toy_acks import BAD, GO, ROLE, SLOW, TOPIC

pytestmark = pytest.mark.integration

PARTITIONS = 2
# One person of each partition.
PERSONS = [
    next(name for name in map("acme:u{}".format, range(99)) if ids.partition_for(name.encode(), PARTITIONS) == p)
    for p in range(PARTITIONS)
]


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of the test's own."""
    return deployed(kafka_bootstrap, topic_prefix, tmp_path / "data")


def log(settings: Settings) -> Path:
    """What the toy says."""
    return settings.data_dir.parent / "log"


@contextmanager
def running(settings: Settings) -> Iterator[Child]:
    """The toy as a process of its own."""
    program = Path(__file__).with_name("toy_acks.py")
    kafka = settings.kafka
    arguments = [str(settings.data_dir), str(kafka.bootstrap), kafka.prefix]
    worker = spawn([sys.executable, program, *arguments], log_file=log(settings))
    try:
        yield worker
    finally:
        worker.stop()


def publish(settings: Settings, *events: tuple[int, bytes]) -> None:
    """Events as (partition, value)."""
    with Publisher(settings) as publisher:
        for partition, value in events:
            publisher.send(topics.RECIPIENTS_MARKETING, PERSONS[partition], value)


def said(settings: Settings) -> list[str]:
    """Which events had their effect, as `partition/offset`."""
    return [(message.value() or b"").decode() for message in read(settings, "sends.marketing")]


def committed(settings: Settings) -> list[int]:
    """The group's offset of each partition."""
    group = GroupOffsets(settings.kafka, f"{settings.kafka.prefix}{ROLE}")
    try:
        topic = settings.topic(TOPIC)
        return [(group.stable([topic], partition) or {topic: -1})[topic] for partition in range(PARTITIONS)]
    finally:
        group.close()


def test_a_slow_event_holds_its_own_partition_and_its_own_offset(settings: Settings) -> None:
    """Others go on; nothing is committed past it, a kill included; once it is through, all is done at least once."""
    publish(settings, (0, b"a"), (0, SLOW), (0, b"b"), *[(1, b"c")] * 50)
    with running(settings) as worker:
        until(lambda: len(said(settings)) >= 51 and committed(settings) == [1, 50], "all but the slow one")
        assert not {"0/1", "0/2"} & set(said(settings))
        worker.signal(signal.SIGKILL)
        worker.wait(10)
    (settings.data_dir / GO).touch()
    with running(settings):
        until(lambda: committed(settings) == [3, 50], "all")
    assert set(said(settings)) == {"0/0", "0/1", "0/2"} | {f"1/{n}" for n in range(50)}


def test_an_event_that_raises_is_tried_then_buried_then_done(settings: Settings) -> None:
    """Its letter tells error and tries, without the address that the error quotes; what is behind it goes on."""
    publish(settings, (0, BAD), *[(0, b"good")] * 20)
    with running(settings):
        until(lambda: committed(settings)[0] == 21, "all done")
    assert said(settings) == [f"0/{n}" for n in range(1, 21)]
    (letter,) = read(settings, "dead-letters")
    assert dict(letter.headers() or ()) == {
        "reason": b"internal error",
        "role": b"toy",
        "source-topic": b"recipients.marketing",
        "source-partition": b"0",
        "source-offset": b"0",
        "error": b"ValueError: bad, said <address>",
        "tries": b"3",
    }
    assert (letter.key(), letter.value()) == (PERSONS[0].encode(), BAD)


def test_where_all_raises_the_worker_stops_and_the_topic_keeps_its_events(settings: Settings) -> None:
    """A bad deploy: at most ten letters, then exit code 1 and one line that says why; offsets stay where they are."""
    publish(settings, *[(n % 2, BAD) for n in range(60)])
    with running(settings) as worker:
        assert worker.wait(LIMIT_S) == 1
    assert 1 <= len(read(settings, "dead-letters")) <= 10
    assert sum(committed(settings)) <= 10
    assert b"EVENPOST_WORKER__FUSE_SHARE" in log(settings).read_bytes()


class Late(RecordProducer):
    """The first records are given up by librdkafka, as where the broker is away for 120 s."""

    times = 2 * WorkerSettings().tries

    async def send(self, *given: Any, **named: Any) -> asyncio.Future[int]:
        """Too late, or as ever."""
        if not self.times:
            return await super().send(*given, **named)
        self.times -= 1
        future = asyncio.get_running_loop().create_future()
        future.set_exception(KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT)))
        return future


@pytest.mark.parametrize("value", [b"good", BAD])
async def test_a_broker_that_is_away_is_no_events_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    """Records that time out more often than an event has tries are sent again; so is the letter of one that is bad."""
    monkeypatch.setattr(acks_module, "AGAIN_S", (0.01,))
    app = make_app(ROLE, settings, member="toy-0")
    producer = Late(settings.kafka, client_id="toy-0")
    acks = Acks(app, role=ROLE, producer=producer)
    topic = settings.topic(TOPIC)

    async def handle(event: Received, send: Send) -> None:
        if event.value == BAD:
            raise ValueError("bad")
        await send("sends.marketing", event.value, key=event.key)

    acks.handles[topic] = handle
    lane = acks_module._Lane(0, acks)
    lane.put(SimpleNamespace(topic=topic, partition=0, offset=7, key=b"k", value=value, headers=()))
    running_lane = asyncio.create_task(lane.run())
    async with asyncio.timeout(30):
        while app.ledger.first_open(topic, 0) is not None and not running_lane.done():  # noqa: ASYNC110  # tells nobody
            await asyncio.sleep(0.01)
    await lane.stop()
    await running_lane
    await asyncio.to_thread(producer.close)
    assert producer.times == 0
    assert [message.value() for message in read(settings, "sends.marketing")] == ([value] if value != BAD else [])
    assert [message.value() for message in read(settings, "dead-letters")] == ([value] if value == BAD else [])


async def test_a_handler_that_can_not_be_cut_holds_up_no_revocation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It swallows its cancellation; the lane is left behind, and its event is not done."""
    for name in ("DRAIN_S", "CUT_S"):
        monkeypatch.setattr(acks_module, name, 0.05)
    app = make_app(ROLE, settings, member="toy-0")
    producer = RecordProducer(settings.kafka, client_id="toy-0")
    acks = Acks(app, role=ROLE, producer=producer)
    topic, begun, go = settings.topic(TOPIC), asyncio.Event(), asyncio.Event()

    async def handle(event: Received, send: Send) -> None:
        begun.set()
        while not go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go.wait()

    acks.handles[topic] = handle
    lane = acks_module._Lane(0, acks)
    lane.put(SimpleNamespace(topic=topic, partition=0, offset=7, key=b"k", value=b"v", headers=()))
    running_lane = asyncio.create_task(lane.run())
    async with asyncio.timeout(10):
        await begun.wait()
        await lane.stop()
    assert not running_lane.done()
    assert app.ledger.first_open(topic, 0) == 7
    go.set()
    await asyncio.wait({running_lane}, timeout=10)
    await asyncio.to_thread(producer.close)
