"""Who has a static member's name in its group, as the coordinator sees it (KIP-345).

A broker that was killed tells for a moment what is half read of the group (decision 9), also that a name is another's.
Only what it says for longer than GRACE_S is so.
"""

import time
from typing import Final

import msgspec
import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.runtime.clients import librdkafka
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.settings import KafkaSettings
from streams.runtime.transport.static_member import GRACE_S

log = structlog.get_logger(__name__)

TIMEOUT_S: Final = 10.0
_AGAIN_S: Final = 0.5
# A broker that goes again meanwhile is back within it.
_PATIENT_S: Final = 120.0


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """The member of that name."""

    member_id: str
    host: str


def holder(kafka: KafkaSettings, group: str, name: str, *, timeout_s: float = TIMEOUT_S) -> Holder | None:
    """The group's member of that name, if there is one.  Raises ClusterUnreachableError."""
    admin = AdminClient(librdkafka(kafka) | {"log_level": 0})
    try:
        described = admin.describe_consumer_groups([group])[group].result(timeout_s)
    except KafkaException as error:
        raise ClusterUnreachableError(kafka.bootstrap, error.args[0].str() or error.args[0].name()) from error
    except TimeoutError as error:
        raise ClusterUnreachableError(kafka.bootstrap, f"not within {timeout_s:g} s") from error
    for one in described.members:
        if one.group_instance_id == name:
            return Holder(member_id=str(one.member_id), host=str(one.host).lstrip("/"))
    return None


def is_anothers(kafka: KafkaSettings, group: str, name: str, *, own_id: str) -> bool:
    """Whether the name is another's than the member's of this id, to whom the coordinator said so.

    Blocking: not before it has said so for GRACE_S, or else as soon as it says that the name is this member's.  Raises
    ClusterUnreachableError where no broker answers for two minutes.
    """
    patient, deadline = time.monotonic() + _PATIENT_S, time.monotonic() + GRACE_S
    while True:
        try:
            found = holder(kafka, group, name)
        except ClusterUnreachableError as error:
            if time.monotonic() > patient:
                raise
            log.warning("not told yet who has the name", group=group, name=name, error=str(error))
            deadline = time.monotonic() + GRACE_S  # it reads the group in when it is back
        else:
            if found is not None and found.member_id == own_id:
                return False
            if time.monotonic() > deadline:
                return found is not None
        time.sleep(_AGAIN_S)
