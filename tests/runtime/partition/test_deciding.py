"""Events that fail: tried, rejected, found out among their batch, and fused."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from streams.runtime import metrics
from streams.runtime.errors import FuseBlownError, TransactionAbortedError
from streams.runtime.partition import partition_loop
from streams.runtime.partition.fuse import MINIMUM
from streams.runtime.partition.partition_loop import Received
from streams.runtime.partition.transactions import FencedProducer
from tests.runtime.builders import deployed
from tests.runtime.partition.loops import SOURCE, Bench, running

pytestmark = pytest.mark.integration

EVENTS = 40


@pytest.fixture
def bench(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Bench:
    """A deployment of the test's own."""
    return Bench(deployed(kafka_bootstrap, topic_prefix, tmp_path))


async def test_an_event_whose_record_no_broker_takes_is_found_and_rejected(bench: Bench) -> None:
    """Two among forty: the others have their effects, once and in order, and the partition goes on."""
    noise = random.Random(1).randbytes(2_000_000)  # above the topic's 1 MB, and does not compress

    def special(received: Received) -> bytes | None:
        return noise if received.offset in {7, 23} else None

    loop = bench.loop("loop", special=special)
    for offset in range(EVENTS):
        loop.put(bench.event(offset))
    async with running(loop):
        await bench.stable_at(EVENTS)
    effects = await bench.effects()
    assert [int(effect.split()[0]) for effect in effects] == list(range(EVENTS))
    assert [n for n, effect in enumerate(effects) if b"rejected: RecordRefusedError after 1" in effect] == [7, 23]
    counts = [int(effect.split()[1]) for n, effect in enumerate(effects) if n not in {7, 23}]
    assert counts == list(range(1, EVENTS - 1))  # what the refused ones wrote was taken back


async def test_an_event_that_raises_now_and_then_is_tried_again(bench: Bench) -> None:
    """The second try succeeds: one effect, no rejection, one failure counted."""
    raised: list[int] = []

    def special(received: Received) -> bytes | None:
        if received.offset == 3 and not raised:
            raised.append(received.offset)
            raise TimeoutError("once")
        return None

    failures = metrics.REGISTRY.get_sample_value("evenpost_event_failures_total", {"topic": SOURCE}) or 0.0
    loop = bench.loop("loop", special=special)
    for offset in range(10):
        loop.put(bench.event(offset))
    async with running(loop):
        await bench.stable_at(10)
    assert await bench.effects() == [b"%d %d" % (n, n + 1) for n in range(10)]
    assert metrics.REGISTRY.get_sample_value("evenpost_event_failures_total", {"topic": SOURCE}) == failures + 1


async def test_a_decider_that_always_raises_blows_the_fuse_before_anything_is_committed(bench: Bench) -> None:
    """Nothing of the batch: no rejection, no offset, no state."""

    def special(_: Received) -> bytes | None:
        raise ZeroDivisionError

    loop = bench.loop("loop", special=special)
    for offset in range(EVENTS):
        loop.put(bench.event(offset))
    async with running(loop):
        async with asyncio.timeout(30):
            while not bench.failed:  # noqa: ASYNC110  # the loop tells by a call
                await asyncio.sleep(0.05)
    assert isinstance(bench.failed[0], FuseBlownError)
    assert (bench.stable(), await bench.effects()) == (0, [])


async def test_a_failing_event_that_aborts_make_decide_again_blows_no_fuse(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty aborts of a broker that is away: the event is rejected once, and counts once."""
    monkeypatch.setattr(partition_loop, "BACK_OFF_S", 0.001)
    aborts = list(range(20))

    class Away(FencedProducer):
        """Aborts while the list lasts."""

        def commit(self, *given: Any, **named: Any) -> int | None:
            """Nothing happens, or all."""
            if aborts:
                aborts.pop()
                raise TransactionAbortedError(self.transactional_id, "the broker is away")
            return super().commit(*given, **named)

    def special(received: Received) -> bytes | None:
        if received.offset == 3:
            raise ZeroDivisionError
        return None

    kafka = bench.settings.kafka
    loop = bench.loop("loop", special=special, make_producer=lambda: Away(kafka, f"{kafka.prefix}gate-0"))
    for offset in range(5):
        loop.put(bench.event(offset))
    async with running(loop):
        await bench.stable_at(5)
    assert not aborts
    assert [b"rejected" in effect for effect in await bench.effects()] == [False, False, False, True, False]
    assert not bench.failed
    assert metrics.REGISTRY.get_sample_value("evenpost_fuse_share") == 1 / MINIMUM
