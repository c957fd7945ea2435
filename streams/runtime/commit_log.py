"""What a group committed, from the broker's own log of it, in the order in which it was written.

The coordinator answers from memory, and a broker that was killed answers from what it has read in so far
(docs/adr/0009); the log (`__consumer_offsets`) is what it reads in.  Its records are decoded as far as is needed here
(Kafka's OffsetCommitKey and OffsetCommitValue): the key has a version, group, topic and partition; the value a version,
then the offset.  Other records are of other groups, or say who is a member.  Aborted transactions are not read.

Blocking; for tools that look on from aside, as `observer` is; and as there, a client that gets no answer is replaced.
"""

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.runtime.clients import librdkafka
from streams.runtime.errors import ClusterUnreachableError
from streams.runtime.observer import LATEST, RENEW_S, Place
from streams.runtime.offsets import known
from streams.runtime.settings import KafkaSettings

TOPIC: Final = "__consumer_offsets"
# Key versions that are an offset's: 0 and 1; 2 and above are of members and groups.
_OFFSET_KEYS: Final = (0, 1)
_SHORT: Final = struct.Struct(">h")
_PARTITION: Final = struct.Struct(">i")
_VALUE: Final = struct.Struct(">hq")
ANSWER_S: Final = 5.0
# Without news of any partition's end for so long, a read gives up.
SILENCE_S: Final = 15.0
_BATCH: Final = 1_000
_POLL_S: Final = 0.1


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One committed offset, by the topic's full name; None: it was taken away."""

    place: Place
    offset: int | None


class CommitLog:
    """One group's commits, read on from where the last read ended."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        self._kafka = kafka
        self._group = group
        self._consumer = self._connected()
        # When (monotonic) the log was first asked for since it was last read to its end.
        self._asked: float | None = None
        self._reached: dict[int, int] = {}
        self.commits: list[Commit] = []

    def _connected(self) -> Consumer:
        return Consumer(
            librdkafka(
                self._kafka,
                client_id="evenpost-observer",
                group_id="evenpost-observer",  # librdkafka wants one; nothing is joined or committed
                isolation_level="read_committed",
                enable_auto_commit=False,
                enable_partition_eof=True,
                auto_offset_reset="error",  # begun anew, all would seem to go back
                reconnect_backoff_max_ms=500,
            )
            | {"log_level": 0, "error_cb": lambda _: None}
        )

    def read(self) -> None:
        """Add to `commits` what came since, up to the end that the log has now.  Raises ClusterUnreachableError."""
        now = time.monotonic()
        self._asked = self._asked or now
        if now - self._asked > RENEW_S:
            self._connect_anew()
            self._asked = now
        self._read_on()
        self._asked = None

    def _connect_anew(self) -> None:
        behind = [self._consumer]
        self._consumer = self._connected()
        self._consumer.assign([TopicPartition(TOPIC, at, offset) for at, offset in self._reached.items()])
        threading.Thread(target=behind.clear, name="left-behind", daemon=True).start()  # its end may never come

    def _read_on(self) -> None:
        try:
            ends = self._ends()
        except KafkaException as error:
            raise ClusterUnreachableError(self._kafka.bootstrap, str(error.args[0])) from error
        heard = time.monotonic()
        while any(self._reached[at] < end for at, end in ends.items()):
            messages: Sequence[Message] = self._consumer.consume(_BATCH, timeout=_POLL_S)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_S:
                raise ClusterUnreachableError(self._kafka.bootstrap, f"no end of {TOPIC} for {SILENCE_S:.0f} s")
            for message in messages:
                self._take(message)

    def _ends(self) -> dict[int, int]:
        """Where each partition ends for readers of committed records; the first time, begin at their heads."""
        if not self._reached:
            topic = self._consumer.list_topics(TOPIC, timeout=ANSWER_S).topics[TOPIC]
            if not topic.partitions:  # nobody has joined a group yet
                return {}
            self._consumer.assign([TopicPartition(TOPIC, at, OFFSET_BEGINNING) for at in topic.partitions])
            self._reached = dict.fromkeys(topic.partitions, 0)
        asked = [TopicPartition(TOPIC, at, LATEST) for at in self._reached]
        return {tp.partition: tp.offset for tp in known(self._consumer.offsets_for_times(asked, timeout=ANSWER_S))}

    def _take(self, message: Message) -> None:
        partition, offset = message.partition() or 0, message.offset() or 0
        error = message.error()
        if error is None:
            self.commits += _commits(message, self._group)
            self._reached[partition] = offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
            self._reached[partition] = offset
        elif error.fatal() or not error.retriable():
            raise ClusterUnreachableError(self._kafka.bootstrap, error.str())

    def close(self) -> None:
        """Close its client."""
        self._consumer.close()


def _commits(message: Message, group: str) -> Iterator[Commit]:
    key = message.key() or b""
    (version,) = _SHORT.unpack_from(key)
    if version not in _OFFSET_KEYS:
        return
    of_group, after = _text(key, _SHORT.size)
    if of_group != group:
        return
    topic, after = _text(key, after)
    (partition,) = _PARTITION.unpack_from(key, after)
    value = message.value()
    offset = None if value is None else int(_VALUE.unpack_from(value)[1])
    yield Commit(place=(topic, partition), offset=offset)


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A length and so many bytes of text; and where they end."""
    (length,) = _SHORT.unpack_from(data, at)
    begin = at + _SHORT.size
    return data[begin : begin + length].decode(), begin + length
