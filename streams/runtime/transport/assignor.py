"""The group protocol's side of assignment: what members say of themselves, and what the leader tells them.

1. On each join a member says (as JSON in the protocol's user data) its name, the addresses it can bind, and what it
   holds: what it was assigned last or, at the start, what it has local state of.
2. The leader makes the plan (`streams.runtime.assignment.plan`) and tells each member its partitions, and which
   addresses the members have: so that a member whose slot binds another's address knows that asking again would help.

A static member that restarts gets its old assignment from the broker, and nobody is asked (KIP-345).  A member of an
older version says nothing of itself and is told what it knows.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec
import structlog
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from streams.runtime.assignment.addresses import NOWHERE, Addresses
from streams.runtime.assignment.plan import Member, plan

log = structlog.get_logger(__name__)

_Words = TypeVar("_Words", "Introduction", "Told")

# Version 0 of Kafka's own frame: topics and user data, nothing behind them.  Brokers and tools read it as well.
PROTOCOL: Final = 0
# Of what we put into the user data; a reader ignores fields that it does not know.
VERSION: Final = 1


class Introduction(msgspec.Struct, frozen=True, kw_only=True):
    """A member of itself.

    `asked` counts its wishes for a new plan: to a follower that joins again and says nothing new, the broker gives its
    old assignment, and no plan is made.
    """

    version: int = VERSION
    member: str = ""
    addresses: tuple[str, ...] = ()
    held: tuple[int, ...] = ()
    asked: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The leader to each member: the addresses of all."""

    version: int = VERSION
    addresses: tuple[str, ...] = ()


class CoPartitionedAssignor(AbstractPartitionAssignor):
    """Made once for each app; aiokafka calls it in its own thread.

    `slots` gives the slots in use with the address that each binds; only the sender's app has any.
    """

    name = "evenpost-copartitioned"

    def __init__(
        self,
        *,
        member: str,
        held: Iterable[int] = (),
        addresses: Callable[[], Addresses] = lambda: NOWHERE,
        slots: Callable[[], Mapping[int, str | None]] = dict,
    ) -> None:
        self._member = member
        self._addresses = addresses
        self._slots = slots
        self._asked = 0
        self.held: frozenset[int] = frozenset(held)
        self.planned_at = float("-inf")  # by time.monotonic
        # None until a leader has told: at the start, and under a leader of an older version.
        self.everybodys: Addresses | None = None

    def ask(self) -> None:
        """Have something new to say, so that the next join makes a plan."""
        self._asked += 1

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member says of itself."""
        said = Introduction(
            member=self._member,
            addresses=self._addresses().texts(),
            held=tuple(sorted(self.held)),
            asked=self._asked,
        )
        return ConsumerProtocolMemberMetadata(PROTOCOL, sorted(topics), msgspec.json.encode(said))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """As leader: each member's partitions."""
        said = {member: _read(metadata.user_data, Introduction) for member, metadata in members.items()}
        found = [_member(member, metadata, said[member]) for member, metadata in members.items()]
        topics = {topic for member in found for topic in member.topics}
        widths = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        plans = plan({topic: width for topic, width in widths.items() if width}, found, self._slots())
        everybodys = Addresses.of(text for one in said.values() for text in one.addresses)
        told = msgspec.json.encode(Told(addresses=everybodys.texts()))
        log.info(
            "group planned",
            members=len(found),
            sizes=",".join(str(sum(map(len, plans[member.id].values()))) for member in found),
        )
        return {
            member: ConsumerProtocolMemberAssignment(PROTOCOL, sorted(topics.items()), told)
            for member, topics in plans.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember what this member holds, and what the leader told."""
        self.planned_at = time.monotonic()
        self.held = frozenset(number for _, numbers in assignment.assignment for number in numbers)
        told = _read(assignment.user_data, Told) if assignment.user_data else None
        self.everybodys = None if told is None else Addresses.of(told.addresses)


def _member(id_: str, metadata: Any, said: Introduction) -> Member:
    return Member(
        id=id_,
        name=said.member or id_,
        topics=frozenset(metadata.subscription),
        held=frozenset(said.held),
        can_bind=Addresses.of(said.addresses).can_bind,
    )


def _read(user_data: bytes | None, kind: type[_Words]) -> _Words:
    """What another member wrote; one of an older or broken version said nothing, and must not stop the group."""
    try:
        return msgspec.json.decode(user_data or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        log.warning("a member's words can't be read", kind=kind.__name__)
        return kind()
