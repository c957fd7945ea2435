"""The inbox: order of lanes, fronts and shut lanes, and that nobody who waits is forgotten."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from agents.slot.inbox import Inbox

LANES = ("urgent", "news")


def event(topic: str, offset: int) -> Any:
    """An event of a lane."""
    return SimpleNamespace(topic=topic, offset=offset)


async def all_of(inbox: Inbox) -> list[tuple[str, int]]:
    """What is given out without waiting."""
    given = []
    while True:
        try:
            async with asyncio.timeout(0.01):
                item = await inbox.take()
        except TimeoutError:
            return given
        given.append((item.topic, item.offset))


async def test_the_first_lane_comes_first_and_what_was_put_at_a_front_before_its_lane() -> None:
    """Each in its order."""
    inbox = Inbox(LANES)
    for offset in (1, 2):
        inbox.put(event("news", offset))
    inbox.put(event("urgent", 1))
    inbox.first_of_lane(event("news", 98))
    inbox.first_of_lane(event("news", 99))
    assert await all_of(inbox) == [("urgent", 1), ("news", 98), ("news", 99), ("news", 1), ("news", 2)]


async def test_a_shut_lane_gives_out_what_is_at_its_front_and_all_of_it_once_it_is_open() -> None:
    """Its events keep their permits, however often somebody looked meanwhile; those of the other lane go on."""
    inbox = Inbox(LANES)
    for offset in range(3):
        inbox.put(event("news", offset))
    inbox.shut("news")
    inbox.put(event("urgent", 0))
    inbox.first_of_lane(event("news", 9))
    assert await all_of(inbox) == [("urgent", 0), ("news", 9)]
    inbox.put(event("news", 3))
    assert await all_of(inbox) == []
    assert inbox.waits
    inbox.open("news")
    assert await all_of(inbox) == [("news", offset) for offset in range(4)]


async def test_who_waits_at_a_shut_lane_is_woken_when_it_opens_and_when_all_ends() -> None:
    """A worker that found nothing to take takes what comes."""
    inbox = Inbox(LANES)
    inbox.shut("news")
    inbox.put(event("news", 0))
    waiting = asyncio.create_task(inbox.take())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    inbox.open("news")
    assert (await waiting).offset == 0
    inbox.shut("news")
    inbox.put(event("news", 1))
    waiting = asyncio.create_task(inbox.take())
    await asyncio.sleep(0.01)
    inbox.end()
    assert await waiting is None


async def test_after_a_fence_every_lane_is_open_and_fronts_are_events_again() -> None:
    """What was at a front is in its lane, where Kafka has it."""
    inbox = Inbox(LANES)
    inbox.put(event("news", 0))
    inbox.put(event("news", 1))
    assert (await inbox.take()).offset == 0
    inbox.first_of_lane(event("news", 0))
    inbox.shut("news")
    inbox.again()
    assert await all_of(inbox) == [("news", 0), ("news", 1)]
