"""Replicated views: a thread reads compacted topics from the beginning into a `World` and keeps it current.

Ready once each partition was read to the end it had at the start.  While running, a poll that finds nothing more
confirms the end: `fresh` says whether that happened within the last 3 s (DESIGN.md G4); whoever rests a decision on
the view stops when it is not.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import Topic
from streams.runtime.clients import librdkafka
from streams.runtime.settings import Settings
from streams.views import BadRecordError, World

log = structlog.get_logger(__name__)

FRESH_S: Final = 3.0
# The ends are asked for this often (s): two answers may be lost before a view is stale.
ASK_EVERY_S: Final = 0.8
# A leader that takes longer than this (s) is away, and its partition's end is not confirmed.
ASK_TIMEOUT_S: Final = 1.0
_POLL_S: Final = 0.1
_BATCH: Final = 1_000
METADATA_TIMEOUT_S: Final = 30.0


class Replication:
    """Feeds a `World` from the topics given."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        topics: Sequence[Topic],
        *,
        client_id: str,
        on_bad: Callable[[BadRecordError], None] | None = None,
    ) -> None:
        self._world = world
        self._names = {settings.topic(topic.name): topic.name for topic in topics}
        self._on_bad = on_bad
        self._consumer = Consumer(
            librdkafka(
                settings.kafka,
                client_id=client_id,
                group_id=f"{client_id}-views",
                enable_auto_commit=False,
                enable_partition_eof=True,
                auto_offset_reset="earliest",
                isolation_level="read_uncommitted",
                fetch_wait_max_ms=50,
                reconnect_backoff_max_ms=1_000,
                fetch_message_max_bytes=8 * 1024 * 1024,
            )
        )
        self._next: dict[tuple[str, int], int] = {}
        self._at_end: set[tuple[str, int]] = set()
        self._confirmed = 0.0
        self._asked = 0.0
        self._ends: dict[tuple[str, int], int] | None = None
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{client_id}-views", daemon=True)

    def start(self) -> None:
        """Assign every partition from the beginning and start reading."""
        metadata = self._consumer.list_topics(timeout=METADATA_TIMEOUT_S)
        partitions = [
            TopicPartition(name, partition, OFFSET_BEGINNING)
            for name in self._names
            for partition in metadata.topics[name].partitions
        ]
        self._next = {(tp.topic, tp.partition): 0 for tp in partitions}
        self._consumer.assign(partitions)
        self._thread.start()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until every partition was read to its end once."""
        return self._ready.wait(timeout_s)

    def fresh(self) -> bool:
        """Whether the ends were confirmed within the last 3 s."""
        return time.monotonic() - self._confirmed <= FRESH_S

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_POLL_S * 20)

    def _run(self) -> None:
        while not self._stop.is_set():
            messages = self._consumer.consume(_BATCH, timeout=_POLL_S)
            for message in messages:
                self._take(message)
            self._confirm()
        self._consumer.close()

    def _take(self, message: Message) -> None:
        where = (str(message.topic()), int(message.partition() or 0))
        offset = int(message.offset() or 0)
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                self._at_end.add(where)
                self._advance(where, offset)
            return
        name = self._names[where[0]]
        key = (message.key() or b"").decode("utf-8", "replace")
        try:
            self._world.apply(name, key, message.value())
        except BadRecordError as bad:
            if self._on_bad is not None:
                self._on_bad(bad)
        except Exception:
            # The thread must outlive it: a view that is read no further stops all who rest on it (G8).
            log.exception("record could not be folded in", topic=name, partition=where[1], offset=offset)
        self._advance(where, offset + 1)

    def _advance(self, where: tuple[str, int], offset: int) -> None:
        name, offsets = self._names[where[0]], self._world.offsets
        offsets[name] = offsets.get(name, 0) + offset - self._next[where]
        self._next[where] = offset

    def _confirm(self) -> None:
        if not self._ready.is_set():
            if len(self._at_end) == len(self._next):
                self._ready.set()
                self._confirmed = time.monotonic()
            return
        if self._ends is None and time.monotonic() - self._asked >= ASK_EVERY_S:
            self._asked = time.monotonic()
            self._ends = self._ask_ends()
        if self._ends is not None and all(self._next[where] >= end for where, end in self._ends.items()):
            self._confirmed = self._asked  # all that was there when we asked is read
            self._ends = None

    def _ask_ends(self) -> dict[tuple[str, int], int] | None:
        """Each partition's end, from its own leader; None where one does not answer."""
        try:
            return {
                (topic, partition): self._consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=ASK_TIMEOUT_S
                )[1]
                for topic, partition in self._next
            }
        except KafkaException:
            return None
