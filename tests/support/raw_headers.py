"""Records with a header key that is no UTF-8: no client library would write one, and the broker takes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import aiokafka
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

Pair = tuple[str, bytes | None]


class RawKey(str):
    """A header's key, as these bytes."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        """As no UTF-8."""
        return b"bad\xff"


async def send_raw(
    bootstrap: str,
    topic: str,
    records: Iterable[tuple[bytes, bytes, list[Pair]]],
    *,
    partition: int = 0,
    codec: int = 0,
) -> int:
    """Write key, value and headers of each as one batch; the offset of the first."""
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap) as upstream:
        batch = upstream.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, 0, 100_000)
        for key, value, headers in records:
            batch.append(key=key, value=value, timestamp=1_000, headers=headers)
        written = await (await upstream.send_batch(batch, topic, partition=partition))
    return int(written.offset)
