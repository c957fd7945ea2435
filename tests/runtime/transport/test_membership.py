"""A member's questions to its group: is what I was assigned still mine, and leaving for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.runtime.app import EvenpostApp, make_app
from streams.runtime.settings import Settings
from tests.runtime.builders import LIMIT_S, deployed

TOPIC = "recipients.marketing"


async def until_true(fact: Callable[[], Any], what: str, *, limit_s: float = LIMIT_S) -> None:
    """Poll for a fact from within a loop that works on it."""
    async with asyncio.timeout(limit_s):
        while not fact():  # noqa: ASYNC110  # Faust and the broker tell nobody
            await asyncio.sleep(0.02)
    assert fact(), what


@asynccontextmanager
async def member(settings: Settings, name: str, *, instance: str | None = None) -> AsyncIterator[EvenpostApp]:
    """A member of the gate's group that only consumes, once it has partitions."""
    app = make_app("gate", settings, member=name)
    app.conf.consumer_group_instance_id = instance

    @app.agent(app.source(TOPIC), name=f"membership-{name}")
    async def take(stream: Any) -> None:
        async for _ in stream.noack().events():
            pass

    await app.start()
    try:
        await until_true(lambda: app.consumer._thread.assigned, "an assignment")
        yield app
    finally:
        await app.stop()


def owned(app: EvenpostApp) -> set[int]:
    """The partitions of TOPIC that the member has."""
    return {tp.partition for tp in app.consumer.assignment()}


@pytest.mark.parametrize("instances", [(None, None), ("one", "two")], ids=["dynamic", "static"])
async def test_an_assignment_is_confirmed_only_while_it_stands(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, instances: tuple[str | None, str | None]
) -> None:
    """Another member's join makes the old generation unconfirmed at once, and who left gives its partitions away."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, session_timeout_s=45.0)
    async with member(settings, "one", instance=instances[0]) as one:
        assert await one.consumer.confirmed()
        stale = one.consumer._thread.assigned
        async with member(settings, "two", instance=instances[1]) as two:
            await until_true(lambda: one.consumer._thread.assigned not in {None, stale}, "a new generation")
            assert await one.consumer.confirmed()
            assert await two.consumer.confirmed()
            current, one.consumer._thread.assigned = one.consumer._thread.assigned, stale
            assert not await one.consumer.confirmed()
            one.consumer._thread.assigned = current
            assert len(owned(one)) == 1
            await two.consumer.leave()
            assert not await two.consumer.confirmed()
            # The session is 45 s and no static member leaves by itself: within 15 s it was the leaving that moved it.
            await until_true(lambda: len(owned(one)) == 2, "the partitions back", limit_s=15)
            assert await one.consumer.confirmed()


async def test_a_namesake_takes_the_confirmation_away(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A second process under a static member's name: the first is not the owner any more, though nothing moved."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, session_timeout_s=45.0)
    async with member(settings, "one", instance="one") as first:
        was = first.consumer._thread.assigned
        async with member(settings, "one-again", instance="one") as second:
            assert await second.consumer.confirmed()
            now, first.consumer._thread.assigned = first.consumer._thread.assigned, was
            assert not await first.consumer.confirmed()
            first.consumer._thread.assigned = now
