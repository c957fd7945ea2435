"""A record that no client library would write, and the broker takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tests.runtime.builders import deployed
from tests.runtime.transport.members import TOPIC, member, until_true
from tests.support.raw_headers import Pair, RawKey, send_raw


@pytest.mark.parametrize("codec", [0, _DefaultRecordBatchBuilderPy.CODEC_LZ4], ids=["plain", "lz4"])
async def test_a_header_key_that_is_no_utf8_troubles_nobody(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, codec: int
) -> None:
    """It comes with the rest of its batch and what is behind it, each whole."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path)
    batch: list[tuple[bytes, bytes, list[Pair]]] = [
        (b"k", b"one", [("a", b"1")]),
        (b"k", b"two", [(RawKey(), b"2"), ("c", None)]),
        (b"k", b"three", []),
    ]
    assert await send_raw(kafka_bootstrap, settings.topic(TOPIC), batch, codec=codec) == 0
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as upstream:
        await upstream.send_and_wait(settings.topic(TOPIC), b"four", partition=0, headers=[("é", b"4")])
    taken: list[Any] = []
    async with member(settings, "one", take=taken.append):
        await until_true(lambda: len(taken) >= 4, "all four")
    assert [(m.key, m.value, list(m.headers), m.offset) for m in taken] == [
        (b"k", b"one", [("a", b"1")], 0),
        (b"k", b"two", [("bad\\xff", b"2"), ("c", None)], 1),
        (b"k", b"three", [], 2),
        (None, b"four", [("é", b"4")], 3),
    ]
