"""What the cluster itself says of a group, asked from aside: nobody's member, nobody's producer.

`committed`: the offsets that a successor would start from; `noted`: with what stands beside them.  `ends`: where
partitions end, for any reader (`high`) or for one that reads committed records (`stable`: the last stable offset,
KIP-98).  `empty_until`: whether there is anything to read behind an offset, which ends do not tell: a commit's marker
takes one as well (FAUST.md 17a).  Blocking.

By consumers and not by librdkafka's admin client: that one ends the whole process (an assertion on its reference
counts) when its broker is killed under a request.  One that gets no answer for RENEW_S is left behind, and another
made: librdkafka was seen to keep asking a coordinator's connection that it has given up, for good.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime.clients import librdkafka
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.offsets import known
from streams.runtime.partition.group_offsets import Committed
from streams.runtime.settings import KafkaSettings

# A broker that is there answers within milliseconds; one that takes longer is asked again by whoever samples.
ANSWER_S: Final = 3.0
POLL_S: Final = 0.1
# What is fetched where it is looked whether there is anything: one record comes however large it is (KIP-74).
AHEAD_BYTES: Final = 64 * 1024
# Five asks: a broker that restarts is away for longer, and a new client does no harm then.
RENEW_S: Final = 15.0
# ListOffsets' timestamp that means "the end" (KIP-79).
LATEST: Final = -1

Place = tuple[str, int]  # a topic's full name, a partition
Isolation = Literal["high", "stable"]
_LEVELS: Final[dict[Isolation, str]] = {"high": "read_uncommitted", "stable": "read_committed"}


class Observer:
    """Asks about one group."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        self._kafka = kafka
        self._group = group
        self._consumers = {isolation: self._connected(isolation) for isolation in _LEVELS}
        # When (monotonic) each question was first asked since it was last answered.
        self._asked: dict[tuple[Isolation, str], float] = {}

    def _connected(self, isolation: Isolation) -> Consumer:
        return Consumer(
            librdkafka(
                self._kafka,
                client_id="evenpost-observer",
                group_id=self._group,
                isolation_level=_LEVELS[isolation],
                enable_auto_commit=False,
                enable_partition_eof=True,
                auto_offset_reset="earliest",
                fetch_wait_max_ms=20,
                fetch_message_max_bytes=AHEAD_BYTES,
                queued_max_messages_kbytes=AHEAD_BYTES // 1024,
                reconnect_backoff_max_ms=500,
            )
            | {"log_level": 0, "error_cb": lambda _: None}
        )

    def committed(self, places: Sequence[Place]) -> dict[Place, int]:
        """What the group committed of these partitions, whatever is pending on them; 0 where it never did.

        Raises ClusterUnreachableError.
        """
        return {place: one.offset for place, one in self.noted(places).items()}

    def noted(self, places: Sequence[Place]) -> dict[Place, Committed]:
        """As `committed`, with what is named beside each offset."""
        asked = [TopicPartition(*place) for place in places]
        found = self._told("high", "committed", lambda client: client.committed(asked, timeout=ANSWER_S))
        return {
            (tp.topic, tp.partition): Committed(offset=max(tp.offset, 0), metadata=tp.metadata or "") for tp in found
        }

    def ends(self, places: Sequence[Place], isolation: Isolation) -> Mapping[Place, int]:
        """Where each partition ends for readers of this kind.  Raises ClusterUnreachableError."""
        asked = [TopicPartition(*place, LATEST) for place in places]
        found = self._told(isolation, "ends", lambda client: client.offsets_for_times(asked, timeout=ANSWER_S))
        return {(tp.topic, tp.partition): tp.offset for tp in found}

    def empty_until(self, begins: Mapping[Place, int]) -> dict[Place, int | None]:
        """Up to which offset nothing is there to read (of committed records) from the one given on.

        None = the very next record is there.  A partition that does not answer in time is not in the answer.
        """
        if not begins:
            return {}
        client = self._consumers["stable"]
        found: dict[Place, int | None] = {}
        deadline = time.monotonic() + ANSWER_S
        try:
            client.assign([TopicPartition(*place, at) for place, at in begins.items()])
            while len(found) < len(begins) and time.monotonic() < deadline:
                for message in client.consume(len(begins), timeout=POLL_S):
                    place = (message.topic() or "", message.partition() or 0)
                    error = message.error()
                    if error is None:
                        found[place] = None
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                        found.setdefault(place, message.offset())
        finally:
            client.unassign()
        return found

    def close(self) -> None:
        """Close its clients."""
        for consumer in self._consumers.values():
            consumer.close()

    def _told(self, isolation: Isolation, question: str, ask: Callable[[Consumer], Any]) -> list[TopicPartition]:
        now = time.monotonic()
        if now - self._asked.setdefault((isolation, question), now) > RENEW_S:
            behind = [self._consumers[isolation]]
            self._consumers[isolation], self._asked[isolation, question] = self._connected(isolation), now
            threading.Thread(target=behind.clear, name="left-behind", daemon=True).start()  # its end may never come
        try:
            found = known(ask(self._consumers[isolation]))
        except KafkaException as error:
            raise ClusterUnreachableError(self._kafka.bootstrap, str(error.args[0])) from error
        del self._asked[isolation, question]
        return found
