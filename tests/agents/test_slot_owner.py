"""A slot: what is under way ends or is ended when it is given up, and no outcome holds it for ever."""

import asyncio
import secrets
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from agents import slot_owner
from agents.slot_owner import SlotOwner
from schemas.events import Delivery, Outcome
from schemas.topics import MESSAGE_BYTES
from streams.delivery import outcomes
from streams.delivery.outcomes import OutcomeSettings
from streams.delivery.smtp import Result
from streams.runtime.partition.fuse import Fuse
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings
from streams.runtime.state.local_state import state_path
from streams.runtime.state.tables import PartitionTable, RecoveryError
from tests.compose.builders import NOW, send
from tests.runtime.builders import deployed, read


async def test_what_does_not_end_in_time_is_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else it would send beside the slot's next owner, from the same IP.  Its journal can be opened again at once."""
    monkeypatch.setattr(slot_owner, "DRAIN_S", 0.05)
    began, journal = asyncio.Event(), tmp_path / "journal"

    async def never(_: Any) -> None:
        began.set()
        await asyncio.Event().wait()

    shared = SimpleNamespace(settings=Settings(), app=SimpleNamespace(ledger=SimpleNamespace(take=lambda *_: None)))
    owner = SlotOwner(0, shared)  # type: ignore[arg-type]  # what the slots share, as far as it is needed here
    monkeypatch.setattr(owner, "_take", never)
    monkeypatch.setattr(owner, "_recovered", lambda: PartitionTable(journal))
    running = asyncio.create_task(owner.run())
    owner.put(SimpleNamespace(topic=shared.settings.topic("sends.marketing"), partition=0, offset=1))
    async with asyncio.timeout(10):
        await began.wait()
        await owner.stop()
        await running
    PartitionTable(journal).close()


async def test_a_failure_lets_the_others_finish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One attempt trips a defect while another is past MAIL FROM: that one comes to its end, nothing else begins."""
    second, ended = asyncio.Event(), list[int]()

    async def take(message: Any) -> None:
        if message.offset == 1:
            await second.wait()
            raise RuntimeError("a defect")
        second.set()
        await asyncio.sleep(0.05)
        ended.append(message.offset)

    ledger = SimpleNamespace(take=lambda *_: None, done=lambda *_: None)
    settings = Settings(smtp={"connections_per_slot": 2})
    shared = SimpleNamespace(settings=settings, app=SimpleNamespace(ledger=ledger), worked=lambda _: None)
    owner = SlotOwner(0, shared)  # type: ignore[arg-type]  # what the slots share, as far as it is needed here
    monkeypatch.setattr(owner, "_take", take)
    monkeypatch.setattr(owner, "_recovered", lambda: PartitionTable(tmp_path / "journal"))
    for offset in (1, 2, 3):
        owner.put(SimpleNamespace(topic=settings.topic("sends.marketing"), partition=0, offset=offset))
    with pytest.raises(RuntimeError, match="a defect"):
        async with asyncio.timeout(10):
            await owner.run()
    assert ended == [2]


async def test_a_slot_that_is_given_up_while_its_journal_is_read_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A revocation does not wait for the journal; and its folder can be opened again."""
    reading = asyncio.Event()
    loop = asyncio.get_running_loop()

    def recover(table: PartitionTable, *_: Any, go_on: Any) -> int:
        loop.call_soon_threadsafe(reading.set)
        while go_on():
            pass
        raise RecoveryError("given up")

    monkeypatch.setattr(PartitionTable, "recover", recover)
    settings = Settings(data_dir=tmp_path)
    shared = SimpleNamespace(
        settings=settings, member="sender-0", app=SimpleNamespace(ledger=SimpleNamespace(take=lambda *_: None))
    )
    owner = SlotOwner(0, shared)  # type: ignore[arg-type]  # what the slots share, as far as it is needed here
    running = asyncio.create_task(owner.run())
    owner.put(SimpleNamespace(topic=settings.topic("sends.marketing"), partition=0, offset=1))
    async with asyncio.timeout(10):
        await reading.wait()
        await owner.stop()
        await running
    PartitionTable(state_path(settings, "sender-0", "journal-0")).close()


@pytest.mark.integration
async def test_an_outcome_that_does_not_fit_is_made_short_and_its_send_is_a_dead_letter(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """A send that came back would fill more than a record: it ends as rejected, once, and the slot goes on."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path)
    producer = RecordProducer(settings.kafka, client_id="t")
    shared = SimpleNamespace(
        settings=settings, producer=producer, fuse=Fuse(0.5), outcome_settings=OutcomeSettings(address_key=b"k" * 32)
    )
    owner = SlotOwner(0, shared)  # type: ignore[arg-type]  # what the slots share, as far as it is needed here
    large = send({"note": secrets.token_urlsafe(MESSAGE_BYTES)}, slot=0)
    deferred = outcomes.concluded(
        large,
        Result(disposition="soft", class_="greylisted", stage="rcpt", via=""),
        NOW,
        shared.outcome_settings,
        jitter=0,
    )
    assert deferred.returned is not None
    message = SimpleNamespace(
        topic=settings.topic("sends.marketing"), partition=0, offset=5, key=b"k", value=msgspec.json.encode(large)
    )
    async with asyncio.timeout(30):
        short = await owner._end(deferred, large, message)
    assert producer.close() == 0
    (entry,) = read(settings, "journal")
    assert msgspec.json.decode(entry.value() or b"", type=Outcome) == short
    (delivery,) = [msgspec.json.decode(one.value() or b"", type=Delivery) for one in read(settings, "deliveries")]
    assert (delivery.type, delivery.class_, delivery.final, delivery.attempt) == ("rejected", "record_refused", True, 1)
    assert read(settings, "returns") == []
    (letter,) = read(settings, "dead-letters")
    assert letter.value() == message.value
    assert dict(letter.headers() or ())["reason"] == b"outcome refused by Kafka"
