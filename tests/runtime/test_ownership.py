"""Owners and their inboxes: a long one holds its partition back, and no other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiokafka
from faust.types import TP

from streams.runtime.app import make_app
from streams.runtime.ownership import HIGH, LOW, Ownership
from streams.runtime.settings import KafkaSettings, Settings

TOPIC = "t.sends.marketing"


class Inbox:
    """An owner that only keeps."""

    def __init__(self, partition: int) -> None:
        self.kept: list[Any] = []

    async def run(self) -> None:
        """Nothing to do."""

    def put(self, message: Any) -> None:
        """Keep."""
        self.kept.append(message)

    def backlog(self) -> int:
        """How many were kept."""
        return len(self.kept)

    async def stop(self) -> None:
        """Nothing to finish."""


def record(partition: int, offset: int) -> Any:
    """A record as Faust's aiokafka driver hands it over: its `tp` is aiokafka's."""
    tp = aiokafka.TopicPartition(TOPIC, partition)
    return SimpleNamespace(topic=TOPIC, partition=partition, offset=offset, tp=tp)


async def owning(tmp_path: Path) -> tuple[Any, Ownership]:
    """Faust's consumer (Any: we look at its inside), which holds two partitions of one topic."""
    app = make_app("sender", Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")))
    consumer: Any = app.consumer
    consumer._set_active_tps({TP(TOPIC, 0), TP(TOPIC, 1)})
    ownership = Ownership(app, Inbox)
    await ownership._assigned({TP(TOPIC, 0), TP(TOPIC, 1)})
    return consumer, ownership


async def test_a_long_inbox_is_not_fetched_for_until_it_is_short(tmp_path: Path) -> None:
    """Above HIGH its partition rests, below LOW it goes on, as often as it takes; the other is fetched all the time."""
    consumer, ownership = await owning(tmp_path)
    owner = next(iter(ownership.owners()))
    assert isinstance(owner, Inbox)
    for round_ in range(3):
        while owner.backlog() < HIGH:
            assert consumer._get_active_partitions() == {TP(TOPIC, 0), TP(TOPIC, 1)}
            ownership.hand_over(record(0, round_ * HIGH + owner.backlog()))
        assert consumer._get_active_partitions() == {TP(TOPIC, 1)}
        ownership.hand_over(record(0, 10_000_000))  # what was fetched before is taken all the same
        while owner.backlog() > LOW:
            ownership.resume(owner, 0)
            assert consumer._get_active_partitions() == {TP(TOPIC, 1)}
            owner.kept.pop()
        ownership.resume(owner, 0)
    consumer._thread.thread_loop.close()


async def test_what_comes_for_a_partition_that_is_not_ours_is_dropped(tmp_path: Path) -> None:
    """A rebalance interrupts a fetch: the next owner reads it again."""
    consumer, ownership = await owning(tmp_path)
    ownership.hand_over(record(7, 1))
    assert [owner.backlog() for owner in ownership.owners()] == [0, 0]
    consumer._thread.thread_loop.close()
