"""Stock Faust 0.15.3's producer (FAUST.md 8, 9, 20)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from tests.runtime.stock.apps import stock_app


class Stuck:
    """A channel whose broker does not take the record."""

    async def publish_message(self, *_: Any, **__: Any) -> None:
        """Never ends."""
        await asyncio.Event().wait()


async def test_8_stock_flush_returns_with_records_pending() -> None:
    """A tenth of a second without a send, and it gives up."""
    with stock_app() as app:
        buffer = app.producer.buffer
        await buffer.start()
        for _ in range(3):
            buffer.put(SimpleNamespace(message=SimpleNamespace(channel=Stuck())))
        await asyncio.wait_for(buffer.flush(), 5)
        assert buffer.size > 0
        buffer.pending._queue.clear()
        await buffer.stop()


async def test_9_stock_is_idempotent_under_exactly_once_alone() -> None:
    """By default a retry may double a record, and one that overtakes it changes the order."""
    with stock_app() as app:
        settings = {**app.producer._settings_default(), **app.producer._settings_extra()}
        assert not settings.get("enable_idempotence")
    with stock_app(processing_guarantee="exactly_once") as app:
        app.in_worker = True
        assert app.producer._settings_extra()["enable_idempotence"]


async def test_20_stock_holds_consumption_at_a_hundred_records_and_does_not_linger() -> None:
    """Each request carries what lies there at that moment."""
    with stock_app() as app:
        assert app.producer.buffer.max_messages == 100
        assert app.producer.linger_ms == 0
