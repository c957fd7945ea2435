"""What members say to their leader and what it tells them; with real Kafka, who gets what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiokafka
import pytest

from schemas.topics import SENDS_MARKETING, SENDS_TRANSACTIONAL
from streams.runtime.assignment.addresses import NOWHERE, of_this_host
from streams.runtime.settings import Settings, SmtpSettings
from streams.runtime.state.local_state import held_on_disk
from streams.runtime.transport.assignor import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
    CoPartitionedAssignor,
)
from tests.runtime.builders import deployed
from tests.runtime.transport.test_membership import until_true


def assignor(name: str, *, has: str = "", held: frozenset[int] = frozenset(), **more: Any) -> CoPartitionedAssignor:
    """A member whose setting names these addresses."""
    own = of_this_host(SmtpSettings(addresses=has)) if has else NOWHERE
    return CoPartitionedAssignor(member=name, held=held, addresses=lambda: own, **more)


def assigned(leader: CoPartitionedAssignor, members: Mapping[str, Any], width: int) -> dict[str, dict[str, list[int]]]:
    """What each member gets, read as the others read it; aiokafka's cluster metadata is asked for partitions alone."""
    cluster: Any = SimpleNamespace(partitions_for_topic=lambda _: set(range(width)))
    coded = {name: type(metadata).decode(metadata.encode()) for name, metadata in members.items()}
    plan = leader.assign(cluster, coded)
    decoded = {name: type(one).decode(one.encode()) for name, one in plan.items()}
    return {name: {topic: list(ps) for topic, ps in one.assignment} for name, one in decoded.items()}


def test_a_plan_survives_the_group_protocol() -> None:
    """What members say reaches the leader: topics, addresses, and what they hold."""
    one, two = assignor("m1", has="198.51.100.1", held=frozenset({3})), assignor("m2", has="198.51.100.2")
    one._slots = lambda: {0: "198.51.100.2", 1: "198.51.100.1", 2: None, 3: None}
    said = {"x": one.metadata(["b", "a"]), "y": two.metadata(["a", "b"])}
    assert assigned(one, said, 4) == {"x": {"a": [1, 3], "b": [1, 3]}, "y": {"a": [0, 2], "b": [0, 2]}}


def test_a_member_of_an_older_version_is_served() -> None:
    """It says nothing of itself, or what nobody can read: it gets its share of what any host can do."""
    leader = assignor("m1", has="198.51.100.1", slots=lambda: {0: "198.51.100.1"})
    said = {
        "x": leader.metadata(["a"]),
        "old": ConsumerProtocolMemberMetadata(1, ["a"], b""),
        "odd": ConsumerProtocolMemberMetadata(1, ["a"], b"\xff{"),
        "none": ConsumerProtocolMemberMetadata(1, ["a"], None),
    }
    found = assigned(leader, said, 4)
    assert found["x"] == {"a": [0]}
    assert sorted(number for one in found.values() for number in one["a"]) == [0, 1, 2, 3]
    leader.on_assignment(ConsumerProtocolMemberAssignment(0, [("a", [1])], b""))  # planned by an older leader
    assert (leader.held, leader.everybodys) == ({1}, None)


def test_each_member_learns_everybodys_addresses() -> None:
    """Contiguous ones as a network, since the plan has to fit into one record of the broker's."""
    one, two = assignor("m1", has="198.51.100.0,198.51.100.1"), assignor("m2", has="198.51.100.2,198.51.100.3,::1")
    cluster: Any = SimpleNamespace(partitions_for_topic=lambda _: {0, 1})
    plan = one.assign(cluster, {"x": one.metadata(["a"]), "y": two.metadata(["a"])})
    two.on_assignment(plan["y"])
    assert one.everybodys is None  # told to nobody before it is assigned
    assert two.everybodys is not None
    assert two.everybodys.texts() == ("198.51.100.0/30", "::1")
    assert two.held == {number for _, numbers in plan["y"].assignment for number in numbers}


def test_only_a_wish_is_something_new() -> None:
    """A follower that joins again with the same words is given its old plan by the broker: `ask` changes them."""
    one = assignor("m1", has="198.51.100.1", held=frozenset({2, 1}))
    before = one.metadata(["b", "a"]).encode()
    assert one.metadata(["a", "b"]).encode() == before
    one.ask()
    assert one.metadata(["a", "b"]).encode() != before


def test_what_the_disk_holds_is_what_its_folders_say(tmp_path: Path) -> None:
    """At the start a member asks for the partitions whose state it has."""
    settings = Settings(data_dir=tmp_path)
    assert held_on_disk(settings, "gate-0") == frozenset()
    for name in ("gate-3", "gate-11", "lost+found"):
        (tmp_path / "state" / "gate-0" / name).mkdir(parents=True)
    assert held_on_disk(settings, "gate-0") == {3, 11}


@asynccontextmanager
async def members(settings: Settings, **assignors: CoPartitionedAssignor) -> AsyncIterator[dict[str, Any]]:
    """Consumers of aiokafka with our assignor, on both lanes."""
    async with AsyncExitStack() as stack:
        started: dict[str, Any] = {}
        for name, one in assignors.items():
            started[name] = await stack.enter_async_context(
                aiokafka.AIOKafkaConsumer(
                    settings.topic(SENDS_TRANSACTIONAL.name),
                    settings.topic(SENDS_MARKETING.name),
                    bootstrap_servers=settings.kafka.bootstrap,
                    group_id=f"{settings.kafka.prefix}sender",
                    partition_assignment_strategy=[one],
                    enable_auto_commit=False,
                    heartbeat_interval_ms=200,
                    metadata_max_age_ms=1_000,
                )
            )
        yield started


def owned(consumer: Any, lane: str) -> set[int]:
    """The member's slots by this lane."""
    return {tp.partition for tp in consumer.assignment() if tp.topic.endswith(lane)}


@pytest.mark.integration
async def test_three_members_share_four_slots(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Nobody idle (FAUST.md 12), both lanes of a slot together, each slot with whoever has its address."""
    settings = deployed(kafka_bootstrap, topic_prefix, tmp_path, slots=4)
    binds = {0: "127.0.0.2", 1: "127.0.0.1", 2: None, 3: "192.0.2.9"}  # the last is nobody's
    assignors = {
        name: assignor(name, has=has, slots=lambda: binds)
        for name, has in (("m1", "127.0.0.1"), ("m2", "127.0.0.2"), ("m3", ""))
    }
    async with members(settings, **assignors) as started:

        def shares() -> list[int]:
            return sorted(len(owned(one, "marketing")) for one in started.values())

        await until_true(lambda: shares() == [1, 1, 2], "four slots on three members")
        marketing = {name: owned(one, "marketing") for name, one in started.items()}
        assert marketing == {name: owned(one, "transactional") for name, one in started.items()}
        assert sorted(number for one in marketing.values() for number in one) == [0, 1, 2, 3]
        assert 0 in marketing["m2"]
        assert 1 in marketing["m1"]
