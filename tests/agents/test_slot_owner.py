"""A slot that is given up: what is under way ends, or is ended."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents import sender
from agents.sender import SlotOwner
from streams.runtime.settings import Settings
from streams.runtime.tables import PartitionTable


async def test_what_does_not_end_in_time_is_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else it would send beside the slot's next owner, from the same IP.  Its journal can be opened again at once."""
    monkeypatch.setattr(sender, "DRAIN_S", 0.05)
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
