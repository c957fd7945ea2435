"""A group's committed offsets, read and named without being a member of it: one client for all partitions of a worker.

The client is made anew where it has been asked for RENEW_S and has not answered: librdkafka was seen to keep asking a
connection that it has given up, for good.  The one before is left to whatever still waits in it.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime.clients import librdkafka
from streams.runtime.errors import ForbiddenError
from streams.runtime.offsets import known
from streams.runtime.settings import KafkaSettings

log = structlog.get_logger(__name__)

STABLE_ASK_S: Final = 5.0
# Three asks: a transaction that the fence ends is pending for a moment, a broker that restarts is away for 5-10 s.
RENEW_S: Final = 15.0
# No fence and no time helps against these.
_FORBIDDEN: Final = {
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.INVALID_TRANSACTION_TIMEOUT,
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001  # librdkafka's name for it
}


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What a group has committed for a partition: the offset (0 where none), and what was named beside it."""

    offset: int
    metadata: str


class GroupOffsets:
    """A group's committed offsets.  Any thread may ask; calls block."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        self._kafka = kafka
        self._group = group
        self._lock = threading.Lock()
        self._consumer = self._connected()
        # When (monotonic) it was first asked since it last answered.
        self._asked: float | None = None

    def _connected(self) -> Consumer:
        return Consumer(
            librdkafka(self._kafka, group_id=self._group, isolation_level="read_committed", enable_auto_commit=False)
        )

    def stable(self, topics: Sequence[str], partition: int) -> dict[str, int] | None:
        """As `committed`, the offsets alone."""
        found = self.committed(topics, partition)
        return None if found is None else {topic: one.offset for topic, one in found.items()}

    def committed(self, topics: Sequence[str], partition: int) -> dict[str, Committed] | None:
        """What is committed for this partition of each topic, with no transaction pending on it.

        None where that is not known yet: a transaction is pending, or the coordinator is away; ask again.  Taken for
        0, what a former owner decided would be decided again.  Raises ForbiddenError.
        """
        asked = [TopicPartition(topic, partition) for topic in topics]
        client = self._client()
        try:
            found = known(client.committed(asked, timeout=STABLE_ASK_S))
        except KafkaException as error:
            raise_where_forbidden(self._group, error.args[0])
            return None
        with self._lock:
            if client is self._consumer:
                self._asked = None
        return {tp.topic: Committed(offset=max(tp.offset, 0), metadata=tp.metadata or "") for tp in found}

    def _client(self) -> Consumer:
        """The client to ask; another than before where that one does not answer."""
        with self._lock:
            now = time.monotonic()
            if self._asked is None:
                self._asked = now
            elif now - self._asked > RENEW_S:
                log.warning("the group's offsets are not told, asking by a new client", group=self._group)
                _leave_behind([self._consumer])
                self._consumer = self._connected()
                self._asked = now
            return self._consumer

    def metadata(self) -> object:
        """The group's metadata for `send_offsets_to_transaction`: the producer is the fence, not a generation."""
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()


def _leave_behind(held: list[Consumer]) -> None:
    """Let go of a client in a thread of its own: to end one that is stuck may take for ever.

    It is not closed, since a call may still be under way in it: librdkafka ends with the last reference.
    """
    threading.Thread(target=held.clear, name="left-behind", daemon=True).start()


def raise_where_forbidden(name: str, cause: KafkaError) -> None:
    """Raise ForbiddenError where nothing but a person helps."""
    if cause.code() in _FORBIDDEN:
        raise ForbiddenError(name, str(cause))
