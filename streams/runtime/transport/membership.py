"""What this member asks its group's coordinator for itself: is the assignment still mine, and: I leave.

aiokafka's own heartbeat tells nobody when it was last answered, and its close never leaves the group of a static
member (KIP-345).  Both functions run in aiokafka's thread.

1. `Standing` is noted when partitions are assigned: generation and member id of that moment.
2. `confirmed` sends one heartbeat with exactly these; only a clean answer counts.  A rebalance that has begun, a
   newer generation, a member that took the same instance id: each is an error in the broker's answer.
3. `leave` ends aiokafka's part first, or it would join again at its next heartbeat, then sends LeaveGroup.
"""

from typing import Any, NamedTuple

from aiokafka.client import ConnectionGroup
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String


class Standing(NamedTuple):
    """Under which name and in which generation partitions were assigned."""

    generation: int
    member_id: str


class LeaveGroupResponse(Response):
    """LeaveGroup version 3: one error a member."""

    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")), ("error_code", Int16)),
        ),
    )


class LeaveGroupRequestStruct(RequestStruct):
    """LeaveGroup version 3, the first that can name a static member (KIP-345); aiokafka 0.14 knows 0 and 1."""

    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = LeaveGroupResponse
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("members", Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")))),
    )


class LeaveGroup(Request[LeaveGroupRequestStruct]):
    """One member leaves its group."""

    API_KEY = 13

    def __init__(self, group: str, *, member_id: str, instance_id: str) -> None:
        self._group = group
        self._member = (member_id, instance_id)

    def build(self, request_struct_class: type[LeaveGroupRequestStruct]) -> LeaveGroupRequestStruct:
        """The bytes' form."""
        return request_struct_class(self._group, [self._member])


def standing(coordinator: Any) -> Standing | None:
    """The member's standing now; None when it is not in the group."""
    generation = getattr(coordinator, "generation", -1)
    return Standing(generation, coordinator.member_id) if generation > 0 else None


async def confirmed(coordinator: Any, assigned: Standing) -> bool:
    """Whether a heartbeat sent now, in the standing of the assignment, was answered without an error."""
    if standing(coordinator) != assigned:
        return False
    answer = await _ask(coordinator, HeartbeatRequest(coordinator.group_id, assigned.generation, assigned.member_id))
    return for_code(answer.error_code) is NoError and standing(coordinator) == assigned


async def leave(coordinator: Any, instance_id: str | None) -> None:
    """Leave the group, static members too.  Raises KafkaError when the coordinator refuses."""
    was = standing(coordinator)
    node = coordinator.coordinator_id
    await coordinator.close()  # a dynamic member has left by this
    if was is None or instance_id is None:
        return
    request = LeaveGroup(coordinator.group_id, member_id=was.member_id, instance_id=instance_id)
    answer = await _ask(coordinator, request, node=node)
    for code in (answer.error_code, *(code for *_, code in answer.members)):
        if for_code(code) is not NoError:
            raise for_code(code)(f"{instance_id} did not leave {coordinator.group_id}")


async def _ask(coordinator: Any, request: Request[Any], *, node: int | None = None) -> Any:
    """The coordinator's answer; aiokafka's own way would count an error of ours as the coordinator's death."""
    to = coordinator.coordinator_id if node is None else node
    if to is None:
        raise ConnectionError("the group's coordinator is not known")
    return await coordinator._client.send(to, request, group=ConnectionGroup.COORDINATION)  # noqa: SLF001  # no public way
