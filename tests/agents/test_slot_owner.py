"""A slot that is given up: what is under way ends, or is ended."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents import slot_owner
from agents.slot_owner import SlotOwner
from streams.runtime.settings import Settings
from streams.runtime.state.tables import PartitionTable


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
