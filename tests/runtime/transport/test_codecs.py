"""Upstream compresses as it likes (FAUST.md 16)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from confluent_kafka import Producer

from tests.runtime.builders import deployed
from tests.runtime.transport.members import TOPIC, member, until_true

CODECS = ("gzip", "snappy", "lz4", "zstd")
EACH = 50


async def test_16_input_of_each_codec_is_consumed(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Batches of gzip, snappy, lz4 and zstd, one after the other, each record once and whole."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path)
    expected = [b"%s %d " % (codec.encode(), number) + b"x" * 300 for codec in CODECS for number in range(EACH)]
    for codec in CODECS:
        upstream = Producer({"bootstrap.servers": kafka_bootstrap, "compression.type": codec, "linger.ms": 50})
        for value in expected:
            if value.startswith(codec.encode()):
                upstream.produce(settings.topic(TOPIC), value, partition=0)
        assert await asyncio.to_thread(upstream.flush, 30) == 0
    taken: list[bytes] = []
    async with member(settings, "one", take=lambda message: taken.append(message.value)):
        await until_true(lambda: len(taken) >= len(expected), "all records")
    assert taken == expected
