"""Owners of partitions: how quickly what Faust has fetched reaches them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from faust.events import Event
from faust.types import TP, Message

from streams.runtime.app import EvenpostApp, make_app
from streams.runtime.ownership import Ownership
from streams.runtime.settings import KafkaSettings, Settings

RECORDS = 500


def event(app: EvenpostApp, offset: int, *, generation: int = 0) -> Event:
    """A record of the one partition, fetched so many generations ago."""
    message = Message(
        topic="t.sends", partition=0, offset=offset, timestamp=0.0, timestamp_type=0, headers={},
        key=None, value=b"", checksum=None, generation_id=app.consumer_generation_id - generation,
    )  # fmt: skip
    return Event(app, None, offset, None, message)


class Inbox:
    """An owner that only takes."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    async def run(self) -> None:
        """Nothing to do."""

    def put(self, message: Any) -> None:
        """Take it."""
        self.taken.append(message.offset)

    def backlog(self) -> int:
        """Nothing waits."""
        return 0

    async def stop(self) -> None:
        """Nothing to finish."""


async def test_what_a_channel_holds_is_handed_over_in_a_few_turns_of_the_loop(tmp_path: Path) -> None:
    """Faust's own iterator gives one record a turn, and a busy sender's turn is long; stale records are dropped."""
    app = make_app("sender", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")))
    app.flow_control.resume()
    inbox = Inbox()
    ownership = Ownership(app, lambda _: inbox)
    await ownership._assigned({TP("t.sends", 0)})
    channel = app.channel()
    taking = asyncio.create_task(ownership.take_from(app.stream(channel)))
    await asyncio.sleep(0)
    await channel.put(event(app, 0))
    async with asyncio.timeout(10):
        while not inbox.taken:  # noqa: ASYNC110  # Faust starts the stream in its own time
            await asyncio.sleep(0.01)
    await channel.put(event(app, RECORDS, generation=1))
    for offset in range(1, RECORDS):
        await channel.put(event(app, offset))
    await channel.put(event(app, RECORDS, generation=1))
    turns = 0
    while len(inbox.taken) < RECORDS:
        await asyncio.sleep(0)
        turns += 1
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert inbox.taken == list(range(RECORDS))
    assert turns < 20
