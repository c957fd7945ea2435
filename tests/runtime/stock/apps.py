"""Faust as it comes: an app whose broker is never reached, and its parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faust
from faust.types import TP, Message

PLACE = TP("t.events", 0)


@contextmanager
def stock_app(**conf: Any) -> Iterator[faust.App]:
    """A stock app with a consumer that was made and not started."""
    app = faust.App("stock", **({"broker": "aiokafka://127.0.0.1:1", "store": "memory://"} | conf))
    try:
        yield app
    finally:
        if app._consumer is not None:
            app.consumer._thread.thread_loop.close()


def message(offset: int, *, partition: int = 0, generation: int = 0) -> Message:
    """A record of `t.events`."""
    return Message(
        topic="t.events", partition=partition, offset=offset, timestamp=0.0, timestamp_type=0, headers=[],
        key=b"k", value=b"{}", checksum=None, tp=TP("t.events", partition), generation_id=generation,
    )  # fmt: skip
