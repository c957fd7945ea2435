"""What a worker says of how far its partitions are done, as aiokafka knows it."""

from __future__ import annotations

from pathlib import Path

import aiokafka
from faust.types import TP

from streams.runtime.app import EvenpostApp
from streams.runtime.life.progress import progress
from streams.runtime.life.vitals import NOT_TOLD, Look, Reach
from streams.runtime.life.watchdog import Watch
from streams.runtime.partition.ownership import Ownership
from tests.runtime.partition.test_ownership import Inbox, toy_app

PATIENCE_S = 10.0
PLACE = aiokafka.TopicPartition("evenpost.sends", 0)


async def owner_of(app: EvenpostApp) -> Ownership:
    """One ready owner, whose records are aiokafka's to fetch."""
    ownership = Ownership(app, lambda _: Inbox())
    await ownership._assigned({TP(PLACE.topic, PLACE.partition)})
    return ownership


async def test_a_topic_that_was_never_told_of_has_something_left_and_an_empty_one_has_not(tmp_path: Path) -> None:
    """Else a worker whose fetches never come back would pass for an idle one, for ever; now it ends in time."""
    app = toy_app(tmp_path)
    app.consumer._thread._consumer = consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers="127.0.0.1:9")
    try:
        consumer.assign([PLACE])
        ownership, watch = await owner_of(app), Watch()

        def seen(beat: int) -> Look:
            return Look(beat=beat, progress=tuple(progress(app, ownership, patience_s=PATIENCE_S)))

        [one] = seen(0).progress
        assert one.reaches == (Reach(topic="sends", done=NOT_TOLD, end=NOT_TOLD + 1),)
        assert next(n for n in range(100) if watch.observe(seen(n), 1.0) is not None) == PATIENCE_S
        state = consumer._subscription.subscription.assignment.state_value(PLACE)
        state.seek(0)
        state.lso = 0
        [one] = seen(0).progress
        assert (one.reaches, one.lag) == ((Reach(topic="sends", done=0, end=0),), 0)
        state.lso = 3
        assert seen(0).progress[0].lag == 3
    finally:
        await consumer.stop()
        app.consumer._thread.thread_loop.close()
