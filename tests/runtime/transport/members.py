"""A member of the gate's group that only consumes: what the transport's tests look at from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from streams.runtime.app import EvenpostApp, make_app
from streams.runtime.settings import Settings
from tests.runtime.builders import LIMIT_S

TOPIC = "recipients.marketing"


async def until_true(fact: Callable[[], Any], what: str, *, limit_s: float = LIMIT_S) -> None:
    """Poll for a fact from within a loop that works on it."""
    try:
        async with asyncio.timeout(limit_s):
            while not fact():  # noqa: ASYNC110  # Faust and the broker tell nobody
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {limit_s:.0f} s") from None


@asynccontextmanager
async def member(
    settings: Settings,
    name: str,
    *,
    instance: str | None = None,
    take: Callable[[Any], None] | None = None,
    poll_interval_s: float | None = None,
) -> AsyncIterator[EvenpostApp]:
    """The member, once it has partitions; each event's message goes to `take`."""
    app = make_app("gate", settings, member=name)
    app.conf.consumer_group_instance_id = instance
    if poll_interval_s is not None:
        app.conf.broker_max_poll_interval = poll_interval_s

    @app.agent(app.source(TOPIC), name=f"taking-{name}")
    async def taking(stream: Any) -> None:
        async for event in stream.noack().events():
            if take is not None:
                take(event.message)

    await app.start()
    try:
        await until_true(lambda: app.consumer._thread.assigned, "an assignment")
        yield app
    finally:
        await app.stop()
