"""A partition's changelog, read by whoever takes the partition over: committed records, up to the end as of now.

The end that a broker names may lie past a commit marker, which no reader sees (FAUST.md 17a): librdkafka's own word
that a partition has no more is what ends the reading.
"""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Literal, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.runtime.clients import librdkafka
from streams.runtime.errors import RuntimeFault
from streams.runtime.settings import KafkaSettings
from streams.runtime.state.watermarks import bounds

Change = tuple[bytes, bytes | None]

BATCH: Final = 5_000
SILENCE_S: Final = 30.0
# librdkafka gathers for this long, also when it has told the end: it is the least that a recovery takes.
_POLL_S: Final = 0.1
# What librdkafka may fetch ahead: a worker recovers a dozen partitions at a time, and its default is 64 MiB for each.
_AHEAD_KIB: Final = 8 * 1024


class RecoveryError(RuntimeFault):
    """The changelog could not be read to its end."""


class Changelog:
    """A reader of one partition, without a group; once `go_on` turns False it waits for no broker any more."""

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        partition: int,
        *,
        go_on: Callable[[], bool] = lambda: True,
        isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
    ) -> None:
        self._go_on = go_on
        self._place = TopicPartition(topic, partition)
        self._name = f"{topic}[{partition}]"
        self._consumer = Consumer(
            librdkafka(
                kafka,
                group_id=f"{topic}-recovery",
                enable_auto_commit=False,
                isolation_level=isolation,
                enable_partition_eof=True,
                auto_offset_reset="error",
                fetch_wait_max_ms=50,
                queued_max_messages_kbytes=_AHEAD_KIB,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def bounds(self) -> tuple[int, int]:
        """Its first and its next offset."""
        try:
            return bounds(self._consumer, self._place.topic, self._place.partition, go_on=self._go_on)
        except KafkaException as error:
            raise RecoveryError(f"{self._name}: {error.args[0]}") from error

    def read(self, start: int | None) -> Iterator[tuple[list[Change], int | None]]:
        """Batches of changes, each with where the changelog goes on after it; None = from the beginning."""
        for messages in self.messages(start):
            position = self._consumer.position([self._place])[0].offset
            changes = [(message.key() or b"", message.value()) for message in messages]
            yield changes, position if position >= 0 else None

    def messages(self, start: int | None) -> Iterator[list[Message]]:
        """Batches of records, some of them empty, up to the end; None = from the beginning."""
        at = OFFSET_BEGINNING if start is None else start
        self._consumer.assign([TopicPartition(self._place.topic, self._place.partition, at)])
        heard = time.monotonic()
        ended = False
        while not ended:
            polled = self._consumer.consume(BATCH, timeout=_POLL_S)
            messages: list[Message] = []
            for message in polled:
                error = message.error()
                if error is None:
                    messages.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                    ended = True
                else:
                    raise RecoveryError(f"{self._name}: {error}") from KafkaException(error)
            if polled:
                heard = time.monotonic()
                yield messages
            elif not self._go_on():
                raise RecoveryError(f"{self._name}: given up while nothing came")
            elif time.monotonic() - heard > SILENCE_S:
                raise RecoveryError(f"{self._name}: silent for {SILENCE_S:.0f} s before its end")
