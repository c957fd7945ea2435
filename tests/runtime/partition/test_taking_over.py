"""Who owns a partition: the three rules of the fence (DESIGN.md, choice 4), with a real broker and late zombies."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from streams.runtime import metrics
from streams.runtime.errors import FencedError
from streams.runtime.partition import bounded_commit, group_offsets, taking_over
from streams.runtime.partition.group_offsets import GroupOffsets
from streams.runtime.partition.record import Record
from streams.runtime.partition.transactions import FencedProducer
from tests.runtime.builders import deployed, read
from tests.runtime.partition.loops import OUT, SOURCE, Bench, running

pytestmark = pytest.mark.integration


@pytest.fixture
def bench(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Bench:
    """A deployment of the test's own."""
    return Bench(deployed(kafka_bootstrap, topic_prefix, tmp_path))


def counted(metric: str, **labels: str) -> float:
    """A counter's value now."""
    return metrics.REGISTRY.get_sample_value(metric, labels) or 0.0


def numbered(count: int) -> list[bytes]:
    """The effects of so many events, each once and counted on a table that lost none."""
    return [b"%d %d" % (n, n + 1) for n in range(count)]


async def never() -> bool:
    """Somebody else is the owner."""
    return False


def producers(bench: Bench, kind: type[FencedProducer]) -> Callable[[], FencedProducer]:
    """The first producer is of this kind, those that follow are as in the product."""
    kinds = [kind]
    kafka = bench.settings.kafka

    def make() -> FencedProducer:
        return (kinds.pop() if kinds else FencedProducer)(kafka, f"{kafka.prefix}gate-0")

    return make


async def test_a_zombie_that_wakes_up_before_its_fence_gives_up_after_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Confirmed, stopped, woken after its successor took over: it fences, is not confirmed again, and stands back.

    Its successor notices, takes the partition over anew in the same process, and no effect is lost or doubled.
    """
    monkeypatch.setattr(taking_over, "LATE_S", 60.0)  # a process that is stopped as a whole looks at no clock
    asleep, awake, has_fenced = threading.Event(), threading.Event(), threading.Event()
    answers = [True]

    async def was_owner() -> bool:
        return answers.pop() if answers else False

    class Sleeper(FencedProducer):
        """Sleeps between the confirmation and the fence."""

        def fence(self) -> bool:
            """Fence late."""
            asleep.set()
            awake.wait(60)
            while not super().fence():
                pass
            has_fenced.set()
            return True

    zombie = bench.loop("zombie", is_owner=was_owner, make_producer=producers(bench, Sleeper))
    successor = bench.loop("successor")
    fenced = counted("evenpost_transactions_total", result="fenced")
    async with running(zombie):
        for offset in range(20):
            zombie.put(bench.event(offset))
        assert await asyncio.to_thread(asleep.wait, 60)
        async with running(successor):
            for offset in range(10):
                successor.put(bench.event(offset))
            await bench.stable_at(10)
            awake.set()
            assert await asyncio.to_thread(has_fenced.wait, 60)
            for offset in range(10, 20):
                successor.put(bench.event(offset))
            await bench.stable_at(20)
        assert not zombie.ready
    assert counted("evenpost_transactions_total", result="fenced") == fenced + 1
    assert await bench.effects() == numbered(20)
    assert not bench.failed


@pytest.mark.parametrize("begun", [False, True], ids=["before its transaction", "amid its transaction"])
async def test_a_zombies_word_never_stands_behind_its_successors(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, begun: bool
) -> None:
    """Who reads uncommitted records (the suppression list) sees the newest word last, however late a zombie wakes."""
    monkeypatch.setattr(bounded_commit, "LIMIT_S", 60.0)  # a process that is stopped as a whole looks at no clock
    asleep, awake, has_tried = threading.Event(), threading.Event(), threading.Event()

    class Sleeper(FencedProducer):
        """Sleeps with its words in hand: with all of them, or with the last ones, the first being on the broker."""

        def _produce(self, record: Record, *given: Any) -> None:
            word = record.topic == bench.settings.topic(OUT)
            if word and (asleep.is_set() or not begun):
                doze()
            super()._produce(record, *given)
            if word and not asleep.is_set():
                assert self._producer.flush(30) == 0
                asleep.set()

        def commit(self, *given: Any, **named: Any) -> int | None:
            """As ever, and the test is told how it ended."""
            try:
                return super().commit(*given, **named)
            finally:
                has_tried.set()

    def doze() -> None:
        asleep.set()
        assert awake.wait(60)

    async def was_owner() -> bool:
        return not asleep.is_set()  # then the successor is

    zombie = bench.loop("zombie", is_owner=was_owner, make_producer=producers(bench, Sleeper))
    successor = bench.loop("successor")
    for offset in range(3):
        zombie.put(bench.event(offset))
    for offset in range(6):
        successor.put(bench.event(offset))
    async with running(zombie):
        assert await asyncio.to_thread(asleep.wait, 60)
        async with running(successor):
            await bench.stable_at(6)
            awake.set()
            assert await asyncio.to_thread(has_tried.wait, 60)
    words = [message.value() or b"" for message in await asyncio.to_thread(read_uncommitted, bench)]
    assert words[-6:] == numbered(6)
    assert len(words) == 6 + begun
    assert not bench.failed


def read_uncommitted(bench: Bench) -> list[Message]:
    """What a reader sees that does not wait for commits."""
    return read(bench.settings, OUT, isolation="read_uncommitted")


async def test_who_is_not_confirmed_or_was_stopped_fences_nobody(bench: Bench) -> None:
    """No producer is even made; a revocation in that moment ends the wait."""
    made: list[FencedProducer] = []

    def make() -> FencedProducer:
        made.append(FencedProducer(bench.settings.kafka, "never"))
        return made[-1]

    waiting = bench.loop("waiting", is_owner=never, make_producer=make)
    stopped = bench.loop("stopped", make_producer=make)
    await stopped.stop()
    async with running(waiting, stopped):
        await asyncio.sleep(0)
    assert not made
    assert not bench.failed


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_of_which_nobody_knows_is_looked_up_behind_a_new_fence(bench: Bench, *, committed: bool) -> None:
    """Its events are decided again only where the stable offsets say that they were not."""

    class Unsure(FencedProducer):
        """Loses the answer of its first commit."""

        def finish(self) -> None:
            """Commit or not; who asked learns nothing."""
            if committed:
                super().finish()
            raise FencedError(self.transactional_id, "the answer was lost")

    loop = bench.loop("loop", make_producer=producers(bench, Unsure))
    repeated = counted("evenpost_repeated_events_total", topic=SOURCE)
    for offset in range(10):
        loop.put(bench.event(offset))
    async with running(loop):
        await bench.stable_at(10)
        for offset in range(10, 20):
            loop.put(bench.event(offset))
        await bench.stable_at(20)
    assert await bench.effects() == numbered(20)
    assert counted("evenpost_repeated_events_total", topic=SOURCE) - repeated == (10 if committed else 0)
    assert not bench.failed


async def test_a_commit_that_never_comes_back_is_given_up_and_its_partition_taken_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call of librdkafka was seen to wait for ever; one that comes back late changes neither effects nor table."""
    monkeypatch.setattr(bounded_commit, "LIMIT_S", 2.0)
    ended = threading.Event()

    class Stuck(FencedProducer):
        """Comes back from its first commit only when the partition was taken over anew, and then finds it lost."""

        def finish(self) -> None:
            """Wait until the test says so."""
            assert ended.wait(60)
            super().finish()

    loop = bench.loop("loop", make_producer=producers(bench, Stuck))
    for offset in range(10):
        loop.put(bench.event(offset))
    async with running(loop):
        await bench.stable_at(10)
        ended.set()
        loop.put(bench.event(10))
        await bench.stable_at(11)
    assert await bench.effects() == numbered(11)
    assert not bench.failed


@pytest.mark.parametrize("where", ["fence", "finish", "close"])
async def test_calls_that_never_come_back_keep_no_place_of_the_pool(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Three in a row, with one thread in the pool: the partition is taken anew each time, and goes on."""
    for module, name in ((bounded_commit, "LIMIT_S"), (taking_over, "CLOSE_S"), (taking_over, "LATE_S")):
        monkeypatch.setattr(module, name, 1.0)
    monkeypatch.setattr(taking_over, "FENCE_ASK_S", 1.0)
    bench.threads = ThreadPoolExecutor(1)
    kafka, made, never = bench.settings.kafka, list[FencedProducer](), threading.Event()

    class Stuck(FencedProducer):
        """Does not come back from one of its calls."""

    def stuck(_: FencedProducer) -> None:
        never.wait(120)

    setattr(Stuck, where, stuck)

    def make() -> FencedProducer:
        kind = Stuck if len(made) < 3 else FencedProducer
        made.append(kind(kafka, f"{kafka.prefix}gate-0"))
        return made[-1]

    loops = [bench.loop(f"loop-{number}", make_producer=make) for number in range(3 if where == "close" else 1)]
    try:
        for number, loop in enumerate(loops, 1):
            for offset in range(10 * number):
                loop.put(bench.event(offset))
            async with running(loop):
                await bench.stable_at(10 * number)
    finally:
        never.set()
    assert await bench.effects() == numbered(10 * len(loops))
    assert len(made) >= 3
    assert not bench.failed


class Silent(Consumer):
    """A client that comes back from no question before the test ends."""

    ended: threading.Event

    def committed(self, *_: object, **__: object) -> list[TopicPartition]:
        """Not before the test ends."""
        self.ended.wait(60)
        return []


@pytest.mark.parametrize("hangs", [True, False], ids=["calls that hang", "a place that is silent"])
async def test_a_client_that_does_not_tell_the_offsets_is_made_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    """The first one's connection leads nowhere: the partition is taken by another, which reaches the broker."""
    for module, name in ((taking_over, "LATE_S"), (taking_over, "STABLE_ASK_S"), (group_offsets, "STABLE_ASK_S")):
        monkeypatch.setattr(module, name, 1.0)
    monkeypatch.setattr(group_offsets, "RENEW_S", 2.0)
    ended = threading.Event()
    kafka = bench.settings.kafka
    with socket.create_server(("127.0.0.1", 0)) as nowhere:  # takes connections, and says nothing
        silent = {"bootstrap.servers": f"127.0.0.1:{nowhere.getsockname()[1]}", "group.id": "t"}

        class Cut(GroupOffsets):
            """As in the product, but for its first client."""

            made = 0

            def _connected(self) -> Consumer:
                self.made += 1
                if self.made > 1:
                    return super()._connected()
                client = Silent(silent) if hangs else Consumer(silent)
                if isinstance(client, Silent):
                    client.ended = ended
                return client

        group = Cut(kafka, f"{kafka.prefix}gate")
        loop = bench.loop("loop", group=group)
        for offset in range(10):
            loop.put(bench.event(offset))
        try:
            async with running(loop):
                await bench.stable_at(10)
        finally:
            ended.set()
    assert group.made == 2
    assert await bench.effects() == numbered(10)
    assert not bench.failed


async def test_events_that_a_former_owner_decided_emit_nothing_and_are_counted(bench: Bench) -> None:
    """Delivered again after a restart: the stable offset says so."""
    repeated = counted("evenpost_repeated_events_total", topic=SOURCE)
    for name, first, last in (("first", 0, 10), ("second", 4, 15)):
        loop = bench.loop(name)
        for offset in range(first, last):
            loop.put(bench.event(offset))
        async with running(loop):
            await bench.stable_at(last)
    assert await bench.effects() == numbered(15)
    assert counted("evenpost_repeated_events_total", topic=SOURCE) - repeated == 6


async def test_offsets_that_went_back_change_nothing(bench: Bench) -> None:
    """A coordinator that tells old offsets, or an operator's reset: the table knows what it has decided (ADR 8)."""
    loop = bench.loop("loop")
    async with running(loop):
        for offset in range(10):
            loop.put(bench.event(offset))
        await bench.stable_at(10)
    set_back(bench, 5)
    again = bench.loop("another-disk")
    async with running(again):
        for offset in range(5, 12):
            again.put(bench.event(offset))
        await bench.stable_at(12)
    assert [value.split()[0] for value in await bench.effects()] == [b"%d" % offset for offset in range(12)]


def set_back(bench: Bench, offset: int) -> None:
    """As an operator would, with Kafka's own tools."""
    consumer = Consumer(
        {"bootstrap.servers": bench.settings.kafka.bootstrap, "group.id": f"{bench.settings.kafka.prefix}gate"}
    )
    consumer.commit(offsets=[TopicPartition(bench.settings.topic(SOURCE), 0, offset)], asynchronous=False)
    consumer.close()
