"""The duty that leases, where no broker answers: it waits for one, and says so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from agents.control.leasing import Leasing
from agents.control.word import Word
from streams.runtime.metrics import REGISTRY
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import KafkaSettings, Settings
from streams.views import World

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def failures() -> float:
    """Readings that failed."""
    return REGISTRY.get_sample_value("evenpost_queue_read_failures_total") or 0.0


async def test_while_the_brokers_are_away_turns_go_on_and_nothing_is_granted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each turn is as short as the question; what it hands over can't be written, and expires."""
    monkeypatch.setattr("streams.runtime.observer.ANSWER_S", 0.2)
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1", gate_partitions=2))
    producer = RecordProducer(settings.kafka, client_id="t", delivery_timeout_ms=1_000)
    world = World()
    via = {"kind": "smarthost", "host": "127.0.0.1", "port": 25}
    world.apply("egress", "1", msgspec.json.encode({"slot": 1, "via": via, "ehlo": "m1.example"}))
    leasing = Leasing(settings, world, Word(settings, producer))
    before = failures()
    for _ in range(3):
        await leasing.turn(NOW)
    assert failures() == before + 3
    assert producer.pending == 6
    await leasing.stand_by()
    await leasing.stand_by()
    producer.close(0.1)
