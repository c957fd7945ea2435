"""The delivery tests run on the loop that senders run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """pytest-asyncio takes its loops from here."""
    return {"uvloop": uvloop.new_event_loop}
