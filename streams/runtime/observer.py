"""What the cluster itself says of a group, asked from aside: nobody's member, nobody's producer.

`committed`: the offsets that a successor would start from.  `ends`: where partitions end, for any reader (`high`) or
for one that reads committed records (`stable`: the last stable offset, KIP-98).  Blocking.

By consumers and not by librdkafka's admin client: that one ends the whole process (an assertion on its reference
counts) when its broker is killed under a request.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.runtime.clients import librdkafka
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.offsets import known
from streams.runtime.settings import KafkaSettings

# A broker that is there answers within milliseconds; one that takes longer is asked again by whoever samples.
ANSWER_S: Final = 3.0
# ListOffsets' timestamp that means "the end" (KIP-79).
LATEST: Final = -1

Place = tuple[str, int]  # a topic's full name, a partition
Isolation = Literal["high", "stable"]
_LEVELS: Final[dict[Isolation, str]] = {"high": "read_uncommitted", "stable": "read_committed"}


class Observer:
    """Asks about one group."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        self._bootstrap = kafka.bootstrap
        self._consumers = {
            isolation: Consumer(
                librdkafka(
                    kafka,
                    client_id="evenpost-observer",
                    group_id=group,
                    isolation_level=level,
                    enable_auto_commit=False,
                    reconnect_backoff_max_ms=500,
                )
                | {"log_level": 0, "error_cb": lambda _: None}
            )
            for isolation, level in _LEVELS.items()
        }

    def committed(self, places: Sequence[Place]) -> dict[Place, int]:
        """What the group committed of these partitions, whatever is pending on them; 0 where it never did.

        Raises ClusterUnreachableError.
        """
        asked = [TopicPartition(*place) for place in places]
        try:
            found = known(self._consumers["high"].committed(asked, timeout=ANSWER_S))
        except KafkaException as error:
            raise self._unreachable(error) from error
        return {(tp.topic, tp.partition): max(tp.offset, 0) for tp in found}

    def ends(self, places: Sequence[Place], isolation: Isolation) -> Mapping[Place, int]:
        """Where each partition ends for readers of this kind.  Raises ClusterUnreachableError."""
        asked = [TopicPartition(*place, LATEST) for place in places]
        try:
            found = known(self._consumers[isolation].offsets_for_times(asked, timeout=ANSWER_S))
        except KafkaException as error:
            raise self._unreachable(error) from error
        return {(tp.topic, tp.partition): tp.offset for tp in found}

    def close(self) -> None:
        """Close its clients."""
        for consumer in self._consumers.values():
            consumer.close()

    def _unreachable(self, error: Any) -> ClusterUnreachableError:
        return ClusterUnreachableError(self._bootstrap, str(error.args[0]))
