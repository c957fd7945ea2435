"""A broker that goes away and comes back: views know that they don't know, producers keep what they were given.

And a worker waits for it, as long as it takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from schemas import topics
from schemas.events import Control, Suppression
from streams.runtime.cluster import Publisher
from streams.runtime.embedded import EmbeddedKafka
from streams.runtime.producer import RecordProducer
from streams.runtime.settings import Settings, WorkerSettings
from streams.runtime.state.replication import FRESH_S, Replication
from streams.views import BadRecordError, World
from tests.runtime.builders import LIMIT_S, deployed, read, until
from tests.runtime.life.crew import Crew

pytestmark = pytest.mark.integration

SUPPRESSION = Suppression(
    scope="global",
    channel="mail",
    reason="manual",
    address_id="1-00",
    source="test",
    at=msgspec.json.decode(b'"2026-11-24T00:00:00Z"', type=Suppression.__annotations__["at"]),
)
KEY = "global/mail/manual/1-00"
# How long the worker may stand still; the broker is away for half as long again, and then starts.
STALLED_S = 10.0


class Away:
    """A broker of the module's own, which may be stopped and started on its port."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._broker = EmbeddedKafka(data_dir)
        self.bootstrap = self._broker.start()

    def stop(self) -> None:
        """Gone, in order."""
        self._broker.stop()

    def kill(self) -> None:
        """Gone, as by a crash."""
        self._broker.kill()

    def start(self) -> None:
        """Back, with its data."""
        self._broker = EmbeddedKafka(self._data_dir, port=int(self.bootstrap.rpartition(":")[2]))
        self._broker.start()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Away]:
    """One for the module."""
    away = Away(tmp_path_factory.mktemp("away"))
    yield away
    away.stop()


@pytest.fixture
def settings(broker: Away, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of the test's own."""
    return deployed(broker.bootstrap, topic_prefix, tmp_path)


def test_a_view_is_ready_at_its_end_and_follows(settings: Settings) -> None:
    """All that was written before is there when it is ready; what comes after follows, tombstones included."""
    with Publisher(settings) as publisher:
        publisher.send(topics.SUPPRESSIONS, KEY, SUPPRESSION)
        publisher.send(topics.CONTROLS, "campaign/acme:autumn", b'{"target":"campaign"')
        publisher.flush()
        world, bad = World(), list[BadRecordError]()
        views = (topics.SUPPRESSIONS, topics.CONTROLS)
        replication = Replication(settings, world, views, client_id="t", on_bad=bad.append)
        assert not replication.fresh()
        replication.start()
        assert replication.wait_ready(LIMIT_S)
        assert replication.fresh()
        assert [one.address_id for one in world.suppressions.entries("1-00")] == ["1-00"]
        assert [(one.topic, one.key) for one in bad] == [("controls", "campaign/acme:autumn")]
        assert world.offsets == {"suppressions": 1, "controls": 1}
        publisher.send(topics.SUPPRESSIONS, KEY, None)
        control = Control(target="slot", key="1", state="suspended", by="test", reason="listed", at=SUPPRESSION.at)
        publisher.send(topics.CONTROLS, "slot/1", control)
        publisher.flush()
    until(lambda: not world.suppressions and "slot/1" in world.controls, "the tombstone and the control")
    until(lambda: world.offsets == {"suppressions": 2, "controls": 2}, "the offsets")
    replication.close()


@pytest.mark.alone
def test_a_view_without_a_broker_is_not_fresh(broker: Away, settings: Settings) -> None:
    """G4: who can't confirm the end says so within seconds, and is fresh again once the broker is back."""
    world = World()
    replication = Replication(settings, world, (topics.SUPPRESSIONS,), client_id="t")
    replication.start()
    assert replication.wait_ready(LIMIT_S)
    until(replication.fresh, "a fresh view")
    broker.stop()
    try:
        stopped = time.monotonic()
        until(lambda: not replication.fresh(), "a view that says it is old")
        assert time.monotonic() - stopped < FRESH_S + 3.0
    finally:
        broker.start()
    with Publisher(settings) as publisher:
        publisher.send(topics.SUPPRESSIONS, KEY, SUPPRESSION)
    until(replication.fresh, "a fresh view again")
    until(lambda: world.suppressions.entries("1-00"), "what was written after the broker came back")
    replication.close()


async def test_a_producer_outlives_the_broker_and_reports_each_record(broker: Away, settings: Settings) -> None:
    """Futures give offsets in order; those handed over while the broker is away resolve when it is back, once each."""
    producer = RecordProducer(settings.kafka, client_id="t")
    topic = settings.topic(topics.JOURNAL.name)
    before = [await producer.send(topic, b"%d" % n, key=b"k", partition=1) for n in range(50)]
    assert await asyncio.gather(*before) == list(range(50))
    await asyncio.to_thread(broker.stop)
    try:
        during = [await producer.send(topic, b"%d" % n, key=b"k", partition=1) for n in range(50, 80)]
        assert not any(future.done() for future in during)
    finally:
        await asyncio.to_thread(broker.start)
    async with asyncio.timeout(LIMIT_S):
        assert await asyncio.gather(*during) == list(range(50, 80))
    assert producer.close() == 0
    found = read(settings, topics.JOURNAL.name)
    assert [message.value() for message in found] == [b"%d" % n for n in range(80)]
    assert {message.partition() for message in found} == {1}


@pytest.mark.timeout(300)  # a broker, a worker and the time away; on a busy machine three times 30 s
def test_a_worker_outlives_a_broker_that_is_away_for_longer_than_it_may_stand_still(
    broker: Away, settings: Settings
) -> None:
    """The watchdog gives no verdict meanwhile, and what waited is decided once the broker is back.

    With the broker there it gives one: `life/test_watchdog.py`.
    """
    settings = settings.model_copy(update={"worker": WorkerSettings(stalled_s=STALLED_S)})
    hold = settings.data_dir / "hold-gate-0"

    def publish() -> None:
        with Publisher(settings) as publisher:
            publisher.send(topics.RECIPIENTS_MARKETING, "acme:u1", b"{}")

    with Crew(settings) as crew:
        crew.start("gate-0")
        publish()
        until(lambda: len(crew.outputs()) == 1, "one event decided")
        hold.touch()
        publish()
        until(lambda: lags(crew), "an event that waits")
        broker.kill()
        try:
            with pytest.raises(TimeoutError):
                crew.children["gate-0"].wait(1.5 * STALLED_S)
            assert lags(crew)
        finally:
            hold.unlink()
            broker.start()
        until(lambda: len(crew.outputs()) == 2, "what waited decided by the same worker")
        assert crew.children["gate-0"].alive
        log = crew.log_file("gate-0").read_text()
        assert "the cluster does not answer for it: the worker waits on" in log
        assert log.count("event=health") == 1


def lags(crew: Crew) -> bool:
    """Whether the worker says that something is left to do."""
    told = crew.health("gate-0", "/metrics").splitlines()
    return any(line.startswith("evenpost_lag_events{") and line.endswith(" 1.0") for line in told)
