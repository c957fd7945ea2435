"""Partition p of every topic of one width lands with one worker, and all have about as many."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.transport.assignor import CoPartitionedAssignor, share


def assigned(members: dict[str, list[str]], widths: dict[str, int]) -> dict[str, dict[str, list[int]]]:
    """What each member gets; aiokafka's cluster metadata is asked for partitions alone."""
    cluster: Any = SimpleNamespace(partitions_for_topic=lambda topic: set(range(widths[topic])))
    metadata = {member: CoPartitionedAssignor.metadata(topics) for member, topics in members.items()}
    plan = CoPartitionedAssignor.assign(cluster, metadata)
    return {member: {topic: list(ps) for topic, ps in one.assignment} for member, one in plan.items()}


@given(st.integers(1, 200), st.integers(1, 30))
def test_shares_are_even_and_whole(partitions: int, members: int) -> None:
    """Each partition has one owner, and no two members differ by more than one."""
    shares = share(partitions, [f"m{n:02}" for n in range(members)])
    assert sorted(partition for one in shares.values() for partition in one) == list(range(partitions))
    sizes = [len(one) for one in shares.values()]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 64), st.integers(1, 9))
def test_topics_of_one_width_land_together(partitions: int, members: int) -> None:
    """Both lanes of a slot, the three sources of a gate partition: one owner."""
    topics = ["a", "b", "c"]
    plan = assigned({f"m{n}": topics for n in range(members)}, dict.fromkeys(topics, partitions))
    for owned in plan.values():
        assert owned.get("a") == owned.get("b") == owned.get("c")


def test_who_did_not_subscribe_gets_nothing_of_it() -> None:
    """During a roll-out members may differ in their topics."""
    plan = assigned({"m0": ["a", "b"], "m1": ["a"]}, {"a": 4, "b": 4})
    assert plan == {"m0": {"a": [0, 1], "b": [0, 1, 2, 3]}, "m1": {"a": [2, 3]}}


def test_the_plan_survives_the_group_protocol() -> None:
    """A leader's plan is read by the others as it was meant."""
    cluster: Any = SimpleNamespace(partitions_for_topic=lambda _: {0, 1})
    plan = CoPartitionedAssignor.assign(cluster, {"m0": CoPartitionedAssignor.metadata(["a"])})
    decoded = type(plan["m0"]).decode(plan["m0"].encode())
    assert [(topic, list(partitions)) for topic, partitions in decoded.assignment] == [("a", [0, 1])]
