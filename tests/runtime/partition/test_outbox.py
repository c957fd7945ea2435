"""The outbox of a slot: facts are there at once, effects once and together with the position that they belong to."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.runtime import metrics
from streams.runtime.errors import FencedError, RecordRefusedError
from streams.runtime.partition.record import Record
from streams.runtime.settings import Settings
from tests.runtime.builders import deployed
from tests.runtime.partition.outboxes import EFFECTS, Slot, taken, until

pytestmark = pytest.mark.integration

# Above a topic's 1 MB, and it does not compress.
NOISE = random.Random(1).randbytes(2_000_000)


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of the test's own."""
    return deployed(kafka_bootstrap, topic_prefix, tmp_path)


def counted(result: str) -> float:
    """How many transactions ended so."""
    return metrics.REGISTRY.get_sample_value("evenpost_transactions_total", {"result": result}) or 0.0


async def test_a_fact_is_there_before_the_commit_and_an_effect_with_it(settings: Settings) -> None:
    """An acked fact is read uncommitted; the effect is nobody's until position and checkpoint are committed with it."""
    slot = Slot(settings, every_s=3600.0)
    async with taken(slot) as running:
        assert await slot.fact(b"intent") == 0
        slot.effect(b"effect")
        assert await slot.fact(b"next intent") == 2
        assert await slot.journal() == [b"intent", b"outcome effect", b"next intent"]
        assert await slot.journal("read_committed") == []
        assert (await slot.effects(), slot.committed) == (Counter(), 0)
        await slot.outbox.end()
        await running
        assert (await slot.effects(least=1), slot.committed) == (Counter({b"effect": 1}), 1)
        assert (await slot.journal("read_committed", least=4))[-1] == b"checkpoint 1"
        named = await slot.named()
        assert (named.offset, named.metadata) == (1, "3")


async def test_it_commits_by_the_clock_and_sooner_where_nothing_is_under_way(settings: Settings) -> None:
    """While sends are under way after `every_s`, else within a look; and nothing where nothing was said."""
    busy = [True]
    slot = Slot(settings, every_s=3600.0, idle=lambda: not busy[0])
    async with taken(slot):
        slot.effect(b"1")
        await slot.fact(b"intent")
        await asyncio.sleep(0.6)
        assert slot.committed == 0
        busy[0] = False
        await until(lambda: slot.committed == 1, "the commit of an idle slot")
        commits = counted("committed")
        await asyncio.sleep(0.6)
        assert counted("committed") == commits
        slot.done += 1
        slot.outbox.moved()
        await until(lambda: slot.committed == 2, "a position that moved without effects")
    slot = Slot(settings, every_s=0.1)
    async with taken(slot):
        slot.effect(b"2")
        await until(lambda: slot.committed == 3, "the commit of a busy slot, which goes on where the other was")
        assert await slot.effects(least=2) == Counter({b"1": 1, b"2": 1})


async def test_a_refused_record_costs_the_others_nothing(settings: Settings) -> None:
    """Among a hundred, one that no broker takes: what stands in for it, and all others, once."""
    slot = Slot(settings, every_s=0.3)
    refusals: list[KafkaError] = []

    def shortened(error: KafkaException) -> Sequence[Record]:
        refusals.append(error.args[0])
        return [slot.record(EFFECTS, b"too large")]

    aborted = counted("aborted")
    async with taken(slot):
        for number in range(100):
            slot.effect(NOISE if number == 50 else b"%d" % number, refused=shortened)
        await until(lambda: slot.committed == 100, "the commit of all")
        expected = Counter({b"%d" % number: 1 for number in range(100) if number != 50} | {b"too large": 1})
        assert await slot.effects(least=100) == expected
        assert [error.code() for error in refusals] == [KafkaError.MSG_SIZE_TOO_LARGE]
        assert counted("aborted") > aborted
        assert (await slot.named()).offset == 100


async def test_a_fact_that_no_broker_takes_fails_alone(settings: Settings) -> None:
    """It fails for what it is, a fact beside it may be said again, and effects said before are committed."""
    slot = Slot(settings, every_s=0.3)
    async with taken(slot):
        slot.effect(b"before")
        with pytest.raises(RecordRefusedError):
            await slot.fact(NOISE)
        slot.effect(b"after")
        await until(lambda: slot.committed == 2, "the commit")
        assert await slot.effects(least=2) == Counter({b"before": 1, b"after": 1})


async def test_who_is_not_confirmed_as_the_owner_aborts_nothing(settings: Settings) -> None:
    """An abort could end the transaction of whoever has the slot now: it is given up, and nothing is said again."""
    slot = Slot(settings, every_s=3600.0)
    async with taken(slot) as running:
        slot.effect(b"before")
        slot.in_group = False
        aborted = counted("aborted")
        with pytest.raises(FencedError):
            await slot.fact(NOISE)
        with pytest.raises(FencedError, match="another's"):
            await running
        assert counted("aborted") == aborted
    assert await Slot(settings).effects() == Counter()


async def test_what_is_refused_twice_ends_the_outbox(settings: Settings) -> None:
    """A stand-in that is refused as well is a defect: said, not tried for ever."""
    slot = Slot(settings, every_s=0.3)
    async with taken(slot) as running:
        slot.effect(NOISE, refused=lambda _: [slot.record(EFFECTS, NOISE)])
        with pytest.raises(RecordRefusedError, match="stands in"):
            await running
        with pytest.raises(FencedError):
            await slot.fact(b"late")


async def test_effects_are_not_committed_before_what_they_wait_for(settings: Settings) -> None:
    """A suppression's durability: the commit waits for it, beyond its time too, and facts go on meanwhile."""
    slot = Slot(settings, every_s=0.1)
    durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with taken(slot):
        slot.effect(b"bounced", after=durable)
        aborted = counted("aborted")
        await until(lambda: counted("aborted") > aborted, "the abort of a transaction that stood open too long")
        await slot.fact(b"intent")
        assert slot.committed == 0
        durable.set_result(None)
        await until(lambda: slot.committed == 1, "the commit")
        assert await slot.effects(least=1) == Counter({b"bounced": 1})


async def test_what_effects_wait_for_may_fail(settings: Settings) -> None:
    """Then they can never be committed here: the slot is to be taken anew."""
    slot = Slot(settings, every_s=0.1)
    durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with taken(slot) as running:
        slot.effect(b"bounced", after=durable)
        durable.set_exception(OSError("no disk"))
        with pytest.raises(FencedError, match="no disk"):
            await running
    assert await Slot(settings).effects() == Counter()


async def test_a_newer_producer_shuts_the_outbox_out(settings: Settings) -> None:
    """Facts fail, effects are refused, and nothing of the open transaction is ever committed."""
    slot, successor = Slot(settings, every_s=3600.0), Slot(settings, every_s=0.1)
    async with taken(slot) as running:
        assert await slot.fact(b"intent") == 0
        slot.effect(b"mine")
        async with taken(successor):
            with pytest.raises(FencedError):
                await slot.fact(b"late intent")
            with pytest.raises(FencedError):
                await running
            with pytest.raises(FencedError):
                slot.effect(b"late")
            with pytest.raises(FencedError):
                await slot.fact(b"later intent")
            successor.effect(b"theirs")
            await until(lambda: successor.committed == 1, "the successor's commit")
            assert await slot.effects(least=1) == Counter({b"theirs": 1})
            assert b"late intent" not in await slot.journal()
            assert b"intent" in await slot.journal()


async def test_a_fact_taken_back_while_it_waits_is_never_said(settings: Settings) -> None:
    """Before the outbox runs, as during a commit, a fact waits; cancelled, it does not reach the journal."""
    slot = Slot(settings, every_s=0.1)
    gone, kept = slot.fact(b"gone"), slot.fact(b"kept")
    gone.cancel()
    async with taken(slot):
        await kept
        await slot.outbox.end()
        assert set(await slot.journal()) == {b"kept", b"checkpoint 0"}


async def test_two_commits_a_second_under_load_lose_and_double_nothing(settings: Settings) -> None:
    """Three hundred sends a second for two seconds, each an intent, an outcome and its effects."""
    slot, loop, waits = Slot(settings, every_s=0.5), asyncio.get_running_loop(), list[float]()

    async def send(number: int) -> None:
        began = loop.time()
        await slot.fact(b"intent %d" % number)
        waits.append(loop.time() - began)
        slot.effect(b"%d" % number)

    async with taken(slot) as running:
        sends = []
        commits = counted("committed")
        for number in range(600):
            sends.append(asyncio.create_task(send(number)))
            await asyncio.sleep(1 / 300)
        await asyncio.gather(*sends)
        await slot.outbox.end()
        await running
        assert await slot.effects(least=600) == Counter({b"%d" % number: 1 for number in range(600)})
        assert counted("committed") - commits >= 3
        assert (await slot.named()).offset == 600
        # Measured 20-46 ms on two idle cores; here the bound is what a session could not bear.
        assert sorted(waits)[int(len(waits) * 0.99)] < 2.0
