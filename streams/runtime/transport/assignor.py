"""Partition assignment: partition p of every topic of one width goes to one worker, evenly (FAUST.md 12).

Both lanes of a slot, and the three sources of a gate partition, must land together: their owner is the only one
who decides for that slot or those persons.  With n members, partition p of P goes to member p*n//P in the order
of their ids, so no two members differ by more than one.
"""

from collections.abc import Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


def share(partitions: int, members: list[str]) -> dict[str, list[int]]:
    """Which partitions of a topic with so many go to whom."""
    shares: dict[str, list[int]] = {member: [] for member in members}
    for partition in range(partitions):
        shares[members[partition * len(members) // partitions]].append(partition)
    return shares


class CoPartitionedAssignor(AbstractPartitionAssignor):
    """The group protocol's side of `share`."""

    name = "evenpost-copartitioned"
    version = 1

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Give each member its partitions of the topics that it subscribed to."""
        plan: dict[str, dict[str, list[int]]] = {member: {} for member in members}
        for topic in sorted({topic for metadata in members.values() for topic in metadata.subscription}):
            subscribed = sorted(member for member, metadata in members.items() if topic in metadata.subscription)
            for member, partitions in share(len(cluster.partitions_for_topic(topic) or ()), subscribed).items():
                if partitions:
                    plan[member][topic] = partitions
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, sorted(topics.items()), b"")
            for member, topics in plan.items()
        }

    @classmethod
    def metadata(cls, topics: list[str]) -> ConsumerProtocolMemberMetadata:
        """What a member says of itself: its topics."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing is kept of an assignment: the next one stands on its own."""
