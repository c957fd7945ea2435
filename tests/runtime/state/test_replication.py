"""A role's view with the suppressions on disk: read once, read on after a restart, and never silently old."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from agents.views import replicate
from schemas import ids, topics
from schemas.events import Suppression
from streams.runtime import metrics
from streams.runtime.cluster import Publisher
from streams.runtime.settings import Settings
from streams.runtime.state import currency
from streams.runtime.state.replication import Replication
from streams.runtime.state.suppression_disk import SuppressionsOnDisk
from streams.runtime.topic_admin import apply_topics
from streams.views import BadRecordError, World
from tests.runtime.builders import LIMIT_S, deployed, until
from tests.runtime.state.test_suppression_disk import entry

pytestmark = pytest.mark.integration
VIEWS = (topics.SUPPRESSIONS, topics.TENANTS)


def key_of(one: Suppression) -> str:
    """Its key in the topic."""
    return ids.suppression_key(one.scope, one.channel, one.reason, one.address_id)


def write(settings: Settings, *records: tuple[str, Suppression | bytes | None]) -> None:
    """Write to the list's topic."""
    with Publisher(settings) as publisher:
        for key, value in records:
            publisher.send(topics.SUPPRESSIONS, key, value)


@pytest.fixture
def deployment(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of the test's own, with 50 addresses on its list."""
    made = deployed(kafka_bootstrap, topic_prefix, tmp_path)
    write(made, *((key_of(one), one) for one in (entry(address=f"1-{number:02}") for number in range(50))))
    return made


def test_a_restart_reads_on_from_the_disk(deployment: Settings) -> None:
    """Lifts and bad records that came meanwhile are heeded; what was read before is not read again."""
    world, replication = replicate(deployment, "gate-0", VIEWS)
    assert world.offsets["suppressions"] == 50
    replication.close()
    good, lifted, new = entry(address="1-01"), entry(address="1-02"), entry(address="1-99")
    write(deployment, (key_of(good), b'{"scope":'), (key_of(lifted), None), (key_of(new), new))
    bad: list[BadRecordError] = []
    world, replication = replicate(deployment, "gate-0", VIEWS, on_bad=bad.append)
    assert [one.key for one in bad] == [key_of(good)]
    assert list(world.suppressions.entries("1-01")) == [good]
    assert list(world.suppressions.entries("1-02")) == []
    assert list(world.suppressions.entries("1-03")) == [entry(address="1-03")]
    assert list(world.suppressions.entries("1-99")) == [new]
    assert world.offsets["suppressions"] == 53
    assert replication.records < 50 + len(VIEWS) * 8
    assert replication.fresh()
    until(lambda: metrics.REGISTRY.get_sample_value("evenpost_view_lag_records", {"topic": "suppressions"}) == 0, "lag")
    age = metrics.REGISTRY.get_sample_value("evenpost_view_age_seconds")
    assert age is not None
    assert age < LIMIT_S
    replication.close()


def test_a_topic_made_anew_is_read_anew(deployment: Settings) -> None:
    """As many records as before, but others: no offset tells, the topic's id does."""
    _, replication = replicate(deployment, "gate-0", VIEWS)
    replication.close()
    name = deployment.topic(topics.SUPPRESSIONS.name)
    admin = AdminClient({"bootstrap.servers": deployment.kafka.bootstrap})
    admin.delete_topics([name], operation_timeout=LIMIT_S)[name].result()
    until(lambda: name not in admin.list_topics(timeout=LIMIT_S).topics, "the topic to be gone")
    apply_topics(deployment)
    write(deployment, *((key_of(one), one) for one in (entry(address=f"2-{number:02}") for number in range(60))))
    world, replication = replicate(deployment, "gate-0", VIEWS)
    assert list(world.suppressions.entries("1-01")) == []
    assert list(world.suppressions.entries("2-01")) == [entry(address="2-01")]
    replication.close()


def test_a_view_that_can_not_go_on_says_so(deployment: Settings, tmp_path: Path) -> None:
    """Its store fails under it: not fresh from then on, and the process is told, which must end."""
    store = SuppressionsOnDisk(tmp_path / "store")
    told: list[BaseException] = []
    replication = Replication(
        deployment,
        World(suppressions=store),
        VIEWS,
        client_id="t",
        kept={"suppressions": store},
    )
    replication.when_failed(told.append)
    replication.start()
    replication.catch_up()
    assert replication.fresh()
    store._store.close()
    one = entry(address="1-99")
    write(deployment, (key_of(one), msgspec.json.encode(one)))
    until(lambda: told, "the failure")
    assert not replication.fresh()
    with pytest.raises(Exception, match="can't be read"):
        replication.catch_up()
    replication.close()


def test_a_topic_made_wider_ends_the_view(deployment: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to the new partition would never be seen: the worker is told, and its successor reads all."""
    monkeypatch.setattr(currency, "COUNT_EVERY_S", 0.1)
    told: list[BaseException] = []
    replication = Replication(deployment, World(), (topics.TENANTS,), client_id="t")
    replication.when_failed(told.append)
    replication.start()
    replication.catch_up()
    assert replication.fresh()
    name = deployment.topic(topics.TENANTS.name)
    admin = AdminClient({"bootstrap.servers": deployment.kafka.bootstrap})
    wider = len(admin.list_topics(timeout=LIMIT_S).topics[name].partitions) + 1
    admin.create_partitions([NewPartitions(name, wider)])[name].result()
    until(lambda: told, "the failure")
    assert f"has {wider} partitions now" in str(told[0])
    assert not replication.fresh()
    replication.close()
