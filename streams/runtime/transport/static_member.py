"""A static member that knows when another process took its name (KIP-345).

A static member names itself: `group.instance.id`.  Who comes back under that name within the session timeout gets what
it had, and nothing moves, the leader's return included (JoinGroup below version 9 answers it as a follower, KIP-814).
aiokafka 0.14 joins by the name, but heartbeats and commits (versions 1 and 3) leave it out.  To such a member, when
another process joins under its name, the coordinator answers "unknown member": aiokafka then joins anew, puts the
other out, and the two take turns for ever.  So:

1. Heartbeat goes out in version 3 and OffsetCommit in version 7, which carry the name.
2. The answer is then FENCED_INSTANCE_ID, after which aiokafka asks for nothing more, and `on_taken` is told.
3. A broker that was killed gives that answer to members who are right, while it reads the group in (decision 9).  So
   the coordinator is asked again for a while: only who hears it for GRACE_S is taken.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import aiokafka
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetCommitResponse_v3
from aiokafka.protocol.group import HeartbeatRequest, HeartbeatResponse_v1
from aiokafka.protocol.types import Array, Int32, Int64, Schema, String

# Kafka's error code; aiokafka 0.14 has no class for it.
FENCED_INSTANCE_ID: Final = 82
# "Not known", for the leader epoch of what was committed (KIP-320).
_NO_EPOCH: Final = -1
# The group's log is read in within a second or two, at most; somebody whose name is taken can do no harm meanwhile: its
# partitions are fenced and its commits refused.
GRACE_S: Final = 5.0


class HeartbeatResponseV3(Response):
    """As version 1."""

    API_KEY = 12
    API_VERSION = 3
    SCHEMA = HeartbeatResponse_v1.SCHEMA


class HeartbeatV3(RequestStruct):
    """The first heartbeat that names a static member."""

    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = HeartbeatResponseV3
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
    )


class OffsetCommitResponseV7(Response):
    """As version 3."""

    API_KEY = 8
    API_VERSION = 7
    SCHEMA = OffsetCommitResponse_v3.SCHEMA


class OffsetCommitV7(RequestStruct):
    """The first commit that names a static member."""

    API_KEY = 8
    API_VERSION = 7
    RESPONSE_TYPE = OffsetCommitResponseV7
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", String("utf-8")),
                    ),
                ),
            ),
        ),
    )


class _NamedHeartbeat(Request[HeartbeatV3]):
    API_KEY = 12

    def __init__(self, plain: Any, instance_id: str) -> None:
        self._fields = (plain._group, plain._generation_id, plain._member_id, instance_id)  # noqa: SLF001  # no other way

    def build(self, request_struct_class: type[HeartbeatV3]) -> HeartbeatV3:
        return request_struct_class(*self._fields)


class _NamedCommit(Request[OffsetCommitV7]):
    API_KEY = 8

    def __init__(self, plain: Any, instance_id: str) -> None:
        topics = [
            (topic, [(partition, offset, _NO_EPOCH, metadata) for partition, offset, metadata in partitions])
            for topic, partitions in plain._topics  # noqa: SLF001  # as above
        ]
        self._fields = (
            plain._consumer_group,  # noqa: SLF001  # as above
            plain._consumer_group_generation_id,  # noqa: SLF001  # as above
            plain._consumer_id,  # noqa: SLF001  # as above
            instance_id,
            topics,
        )

    def build(self, request_struct_class: type[OffsetCommitV7]) -> OffsetCommitV7:
        return request_struct_class(*self._fields)


class StaticConsumer(aiokafka.AIOKafkaConsumer):
    """aiokafka's consumer as a member that the group knows by name; `on_taken` is called in aiokafka's thread, once."""

    def __init__(self, *, group_instance_id: str, on_taken: Callable[[], None], **config: Any) -> None:
        super().__init__(group_instance_id=group_instance_id, **config)
        self._instance_id = group_instance_id
        self._on_taken: Callable[[], None] | None = on_taken
        self._taken_since: float | None = None

    async def start(self) -> None:
        """Start, and from then on name this member in whatever is asked of the coordinator."""
        await super().start()
        send = self._coordinator._send_req  # noqa: SLF001  # its one way out

        async def send_named(request: Request[Any]) -> Any:
            answer = await send(_named(request, self._instance_id))
            if FENCED_INSTANCE_ID not in _codes(answer):
                self._taken_since = None
                return answer
            now = time.monotonic()
            self._taken_since = self._taken_since or now
            if now - self._taken_since < GRACE_S:
                raise GroupCoordinatorNotAvailableError("the coordinator says that our name is taken; asked again")
            if self._on_taken is not None:
                told, self._on_taken = self._on_taken, None
                told()
            return answer

        self._coordinator._send_req = send_named  # noqa: SLF001  # as above


def consumer(
    *, group_instance_id: str | None, on_taken: Callable[[], None], **config: Any
) -> aiokafka.AIOKafkaConsumer:
    """A consumer: static where it has a name, else as aiokafka has it."""
    if group_instance_id is None:
        return aiokafka.AIOKafkaConsumer(**config)
    return StaticConsumer(group_instance_id=group_instance_id, on_taken=on_taken, **config)


def _named(request: Request[Any], instance_id: str) -> Request[Any]:
    if isinstance(request, HeartbeatRequest):
        return _NamedHeartbeat(request, instance_id)
    if isinstance(request, OffsetCommitRequest):
        return _NamedCommit(request, instance_id)
    return request


def _codes(answer: Any) -> Iterator[int]:
    """The error codes of an answer: its own, or those of each partition of a commit."""
    if isinstance(answer, OffsetCommitResponseV7):
        for _, partitions in answer.topics:
            yield from (code for _, code in partitions)
    elif hasattr(answer, "error_code"):
        yield answer.error_code
