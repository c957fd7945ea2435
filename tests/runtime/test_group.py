"""A group's member on librdkafka: reads in blocks, commits what it was told, and knows what it owns."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from schemas import topics
from streams.runtime.cluster import Publisher
from streams.runtime.errors import MemberTakenError
from streams.runtime.group import HEARTBEAT_MS, GroupReader
from streams.runtime.settings import Settings
from streams.runtime.transport.holder import holder, is_anothers
from streams.runtime.transport.static_member import GRACE_S
from tests.runtime.builders import deployed, until

pytestmark = pytest.mark.integration

TOPIC = topics.RECIPIENTS_MARKETING


@pytest.fixture
def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    """A deployment of the test's own: two partitions."""
    return deployed(kafka_bootstrap, topic_prefix, tmp_path)


def publish(settings: Settings, numbers: range) -> None:
    """One record a number, over both partitions."""
    with Publisher(settings) as publisher:
        for number in numbers:
            publisher.send(TOPIC, f"acme:u{number}", b"%d" % number)


def read(reader: GroupReader, seen: list[int], count: int) -> None:
    """Read until so many were seen."""

    def enough() -> bool:
        seen.extend(int(message.value() or 0) for message in reader.read(0.1))
        return len(seen) >= count

    until(enough, f"{count} records")


def owned(reader: GroupReader) -> list[int]:
    """The partitions that a member holds."""
    return [partition for partition in range(2) if reader.owns(TOPIC.name, partition)]


def test_serving_the_group_reads_nothing_and_loses_nothing(settings: Settings) -> None:
    """Between `serve` and `read` no record is skipped, and none comes twice."""
    reader = GroupReader(settings, "test", (TOPIC,), client_id="a")
    seen: list[int] = []
    publish(settings, range(100))
    read(reader, seen, 100)
    publish(settings, range(100, 200))
    for _ in range(5):
        assert reader.serve(0.2) == []
    read(reader, seen, 200)
    assert sorted(seen) == list(range(200))
    reader.close()


def test_a_member_that_only_serves_learns_that_others_came_and_went(settings: Settings) -> None:
    """One partition goes to the other, and comes back when it leaves."""
    first = GroupReader(settings, "test", (TOPIC,), client_id="a")
    until(lambda: first.serve(0.1) == [] and owned(first) == [0, 1], "both partitions")
    second = GroupReader(settings, "test", (TOPIC,), client_id="b")
    until(lambda: first.serve(0.1) == second.serve(0.1) and len(owned(second)) == 1, "one of them")
    until(lambda: first.serve(0.1) == [] and len(owned(first)) == 1, "the other")
    second.close()
    until(lambda: first.serve(0.1) == [] and owned(first) == [0, 1], "both again")
    first.close()


def test_a_named_member_comes_back_to_what_it_had_and_leaves_when_told(settings: Settings) -> None:
    """Closed and made anew, nothing moves; once it has left, the other has its partition long before a session ends."""
    revoked: list[TopicPartition] = []
    first = GroupReader(settings, "test", (TOPIC,), client_id="a", name="a")
    other = GroupReader(settings, "test", (TOPIC,), client_id="b", name="b", on_revoke=revoked.extend)
    until(lambda: first.serve(0.1) == other.serve(0.1) and first.owned == other.owned == 1, "one each")
    before, revoked[:] = owned(first), []
    first.close()
    first = GroupReader(settings, "test", (TOPIC,), client_id="a", name="a")
    until(lambda: first.serve(0.1) == other.serve(0.1) and first.owned == 1, "it is back")
    assert owned(first) == before and not revoked
    first.close()
    asyncio.run(first.leave())
    left = time.monotonic()
    until(lambda: other.serve(0.1) == [] and other.owned == 2, "both partitions")
    assert time.monotonic() - left < settings.kafka.session_timeout_s
    asyncio.run(first.leave())  # who is not there any more has left
    other.close()


def test_of_two_with_one_name_the_older_is_told(settings: Settings) -> None:
    """It says who took its name's place, and reads no more."""
    older = GroupReader(settings, "test", (TOPIC,), client_id="a", name="a")
    until(lambda: older.serve(0.1) == [] and older.owned == 2, "both partitions")
    newer = GroupReader(settings, "test", (TOPIC,), client_id="a", name="a")
    until(lambda: newer.serve(0.1) == [] and newer.owned == 2, "both partitions, taken over")
    with pytest.raises(MemberTakenError, match="'a'"):
        until(lambda: older.serve(0.1) != [], "never")
    older.close()
    newer.close()


def test_whose_name_is_free_again_joins_anew(settings: Settings) -> None:
    """Told that another has its name, which has left meanwhile: what it had is given up, and it reads on."""
    given: list[str] = []
    member = GroupReader(
        settings,
        "test",
        (TOPIC,),
        client_id="a",
        name="a",
        on_assign=lambda partitions: given.append(f"+{len(partitions)}"),
        on_revoke=lambda partitions: given.append(f"-{len(partitions)}"),
    )
    seen: list[int] = []
    publish(settings, range(100))
    read(member, seen, 100)
    member.commit()
    newer = GroupReader(settings, "test", (TOPIC,), client_id="a", name="a")
    told = time.monotonic() + 3 * HEARTBEAT_MS / 1000
    until(lambda: newer.serve(0.1) == [] and newer.owned == 2 and time.monotonic() > told, "the other is told")
    newer.close()
    asyncio.run(newer.leave())
    until(lambda: member.serve(0.1) == [] and len(given) == 3, "it joins anew")
    publish(settings, range(100, 200))
    read(member, seen, 200)
    assert sorted(seen) == list(range(200))
    assert given == ["+2", "-2", "+2"]
    assert member.owned == 2
    member.close()


def test_who_is_told_that_its_own_name_is_anothers(settings: Settings) -> None:
    """The group says whose it is: this member's at once, another's only after a while."""
    member = GroupReader(settings, "test", (TOPIC,), client_id="a", name="a")
    until(lambda: member.serve(0.1) == [] and member.owned == 2, "both partitions")
    group = f"{settings.kafka.prefix}test"
    found = holder(settings.kafka, group, "a")
    assert found is not None
    began = time.monotonic()
    assert not is_anothers(settings.kafka, group, "a", own_id=found.member_id)
    assert time.monotonic() - began < GRACE_S
    assert is_anothers(settings.kafka, group, "a", own_id="another")
    assert time.monotonic() - began > GRACE_S
    assert holder(settings.kafka, group, "b") is None
    member.close()


def test_what_was_committed_with_a_plan_is_the_next_members(settings: Settings) -> None:
    """Offset and metadata, as the warehouse's plan needs them; a plain commit covers what was read."""
    publish(settings, range(10))
    reader = GroupReader(settings, "test", (TOPIC,), client_id="a")
    seen: list[int] = []
    read(reader, seen, 10)
    reader.commit()
    name = settings.topic(TOPIC.name)
    before = {tp.partition: tp.offset for tp in reader.committed([TopicPartition(name, 0), TopicPartition(name, 1)])}
    assert sum(before.values()) == 10
    reader.commit_offsets([TopicPartition(name, 0, 2, metadata="plan:2-4")])
    reader.close()
    other = GroupReader(settings, "test", (TOPIC,), client_id="b")
    (found,) = other.committed([TopicPartition(name, 0)])
    assert (found.offset, found.metadata) == (2, "plan:2-4")
    again: list[int] = []
    read(other, again, before[0] - 2)
    assert set(again) <= set(seen)
    other.close()


def test_a_partition_taken_anew_after_serving_is_read(settings: Settings) -> None:
    """Given up while the group was served, assigned again by a read: it is not held back for ever."""
    revoked: list[TopicPartition] = []
    first = GroupReader(settings, "test", (TOPIC,), client_id="a", on_revoke=revoked.extend)
    until(lambda: first.serve(0.1) == [] and owned(first) == [0, 1], "both partitions")
    second = GroupReader(settings, "test", (TOPIC,), client_id="b")
    until(lambda: second.read(0.0) == first.serve(0.0) and len(revoked) == 2, "the partitions given up")
    assert not owned(first)
    until(lambda: first.read(0.05) == second.read(0.05) and len(owned(first) + owned(second)) == 2, "both anew")
    second.close()
    until(lambda: first.read(0.05) == [] and owned(first) == [0, 1], "both again")
    publish(settings, range(100))
    seen: list[int] = []
    read(first, seen, 100)
    assert sorted(seen) == list(range(100))
    first.close()


def test_what_an_assignment_raises_is_raised_by_the_read(settings: Settings) -> None:
    """As it is: through librdkafka's callback it would end the thread that reads, and nobody would ever know."""

    def refused(partitions: list[TopicPartition]) -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"no offsets of {len(partitions)} partitions"))

    reader = GroupReader(settings, "test", (TOPIC,), client_id="a", on_assign=refused)
    raised: list[KafkaException] = []

    def tried() -> bool:
        try:
            reader.read(0.1)
        except KafkaException as error:
            raised.append(error)
        return bool(raised)

    with ThreadPoolExecutor(1) as threads:
        until(lambda: threads.submit(tried).result(5), "the error")
        assert "no offsets of 2 partitions" in raised[0].args[0].str()
        assert threads.submit(int).result(5) == 0, "the thread lives"
    reader.close()
