"""Owners of partitions: how quickly what Faust has fetched reaches them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from faust.events import Event
from faust.types import TP, Message

from streams.runtime.app import EvenpostApp, make_app
from streams.runtime.ownership import HIGH, LOW, Ownership
from streams.runtime.settings import KafkaSettings, Settings

RECORDS = 500


def event(app: EvenpostApp, offset: int, *, generation: int = 0, topic: str = "t.sends") -> Event:
    """A record of the one partition, fetched so many generations ago."""
    message = Message(
        topic=topic, partition=0, offset=offset, timestamp=0.0, timestamp_type=0, headers={},
        key=None, value=b"", checksum=None, generation_id=app.consumer_generation_id - generation,
    )  # fmt: skip
    return Event(app, None, offset, None, message)


class Inbox:
    """An owner that only takes."""

    def __init__(self, waiting: dict[str, int] | None = None) -> None:
        self.taken: list[int] = []
        self.waiting = waiting or {}

    async def run(self) -> None:
        """Nothing to do."""

    def put(self, message: Any) -> None:
        """Take it."""
        self.taken.append(message.offset)

    def backlog(self, topic: str) -> int:
        """What the test says."""
        return self.waiting.get(topic, 0)

    async def stop(self) -> None:
        """Nothing to finish."""


async def test_what_a_channel_holds_is_handed_over_in_a_few_turns_of_the_loop(tmp_path: Path) -> None:
    """Faust's own iterator gives one record a turn, and a busy sender's turn is long; stale records are dropped."""
    app = make_app(
        "sender", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")), member="sender-0"
    )
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


async def test_a_full_lane_pauses_itself_alone(tmp_path: Path) -> None:
    """Marketing that waits in thousands keeps no transactional send from being fetched (G6)."""
    app = make_app(
        "sender", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")), member="sender-0"
    )
    inbox = Inbox({"t.marketing": HIGH})
    ownership = Ownership(app, lambda _: inbox)
    lanes = {TP("t.marketing", 0), TP("t.transactional", 0)}
    await ownership._assigned(lanes)
    app.consumer._set_active_tps(lanes)
    for topic in ("t.marketing", "t.transactional"):
        ownership.hand_over(event(app, 0, topic=topic).message)
    assert app.consumer._get_active_partitions() == {TP("t.transactional", 0)}
    inbox.waiting["t.marketing"] = LOW
    ownership.resume(inbox, 0)
    assert app.consumer._get_active_partitions() == lanes
