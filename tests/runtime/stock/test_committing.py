"""Stock Faust 0.15.3 commits what is not done, and forgets what is (FAUST.md 1-5).

Each test holds while Faust is so; where one fails, our override may go.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from faust.events import Event

from tests.runtime.stock.apps import PLACE, message, stock_app


async def test_1_stock_commits_past_an_event_in_flight() -> None:
    """2585 is to be read next and in flight; 2586-2589 are acked: it would commit 2590."""
    with stock_app() as app:
        app.consumer._committed_offset[PLACE] = 2585
        app.consumer._acked[PLACE] = [2586, 2587, 2588, 2589]
        assert app.consumer._new_offset(PLACE) == 2590


async def test_1_stock_does_not_look_at_the_head_without_a_committed_offset() -> None:
    """Nothing was committed and 0-6 are in flight: it would commit 9."""
    with stock_app() as app:
        app.consumer._acked[PLACE] = [7, 8]
        assert app.consumer._new_offset(PLACE) == 9


async def test_2_stock_forgets_acks_before_it_tells_of_the_revocation() -> None:
    """Whoever would commit on revocation finds nothing that it could."""
    with stock_app() as app:
        seen: list[Any] = []

        async def revoked(_: Any) -> None:
            seen.append(PLACE in app.consumer._acked)

        app.consumer._on_partitions_revoked = revoked
        app.consumer._acked[PLACE] = [1, 2]
        await app.consumer.on_partitions_revoked({PLACE})
        assert seen == [False]


async def test_3_stock_records_a_failed_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver says that it did not commit; the offset counts as committed all the same."""

    async def failing(_: Any) -> bool:
        return False

    with stock_app() as app:
        monkeypatch.setattr(app.consumer, "assignment", lambda: {PLACE})
        monkeypatch.setattr(app.consumer, "_commit", failing)
        assert not await app.consumer._commit_offsets({PLACE: 5})
        assert app.consumer._committed_offset[PLACE] == 5


async def test_4_stock_acks_an_event_whose_body_raised() -> None:
    """The iterator acks in `finally`: an agent's error loses its event."""
    with stock_app() as app:
        app.flow_control.resume()
        channel = app.channel()
        stream = app.stream(channel)
        event = Event(app, b"k", b"v", [], message(3))
        event.message.incref()
        iterator = aiter(stream)
        taking = asyncio.ensure_future(anext(iterator))
        await asyncio.sleep(0)
        await channel.put(event)
        assert await asyncio.wait_for(taking, 10) == b"v"
        with contextlib.suppress(ValueError):
            await iterator.athrow(ValueError("the agent's body"))
        assert event.message.acked
        await stream.stop()


async def test_5_stock_waits_for_unacked_events_without_end() -> None:
    """By default a rebalance waits in here until the session times out."""
    with stock_app() as app:
        assert app.conf.stream_wait_empty
        stuck = message(1)
        app.consumer._unacked_messages.add(stuck)
        waiting = asyncio.ensure_future(app.consumer.wait_empty())
        assert not (await asyncio.wait([waiting], timeout=0.3))[0]
        app.consumer._unacked_messages.clear()
        await asyncio.wait_for(waiting, 10)


async def test_a_stock_commit_that_meets_another_commits_nothing() -> None:
    """Not in FAUST.md: the second waits for the first, which looked before, and is content."""
    with stock_app() as app:
        app.consumer._commit_fut = first = asyncio.get_running_loop().create_future()
        second = asyncio.ensure_future(app.consumer.commit())
        await asyncio.sleep(0)
        first.set_result(None)
        assert await second is False
