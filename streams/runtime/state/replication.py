"""Replicated views: a thread reads compacted topics into a `World` and keeps it current.

1. Each partition is read from its beginning, or, where the topic's part of the world is kept on disk, from where the
   copy stands (`Checkpointed`).
2. Ready once each partition was read to the end it had at the start.
3. From then on it is confirmed about once a second that all that was there is folded in (`currency`).  `fresh` says
   whether that happened within the last 3 s (DESIGN.md G4); whoever rests a decision on the view stops when it is not.

What ends the thread (a full disk, a topic made anew under it or made wider) ends the view: never fresh again, and
whoever asked to be told (`when_failed`) is, so that the process ends and its successor begins from what is true.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import Topic
from streams.runtime import metrics
from streams.runtime.clients import librdkafka
from streams.runtime.errors import RuntimeFault, TopicMissingError
from streams.runtime.settings import Settings
from streams.runtime.state.currency import Currency, Place, ViewError
from streams.runtime.state.watermarks import bounds
from streams.runtime.topic_admin import topic_ids
from streams.views import BadRecordError, World

log = structlog.get_logger(__name__)

FRESH_S: Final = 3.0
_POLL_S: Final = 0.1
# Records folded in, and written where they are kept on disk, in one go: what a lookup may wait for, some 50 ms.
_BATCH: Final = 5_000
METADATA_TIMEOUT_S: Final = 30.0
# Ten millions of entries take minutes the first time: while it goes on, it may.  A broker's restart takes half of this.
STUCK_S: Final = 60.0
PROGRESS_EVERY_S: Final = 10.0
# What librdkafka may fetch ahead: its default of 64 MiB a client would be a sixteenth of a worker's memory.
_AHEAD_KIB: Final = 16 * 1024


class Checkpointed(Protocol):
    """A part of the world that is kept on disk with how far its topic was read."""

    def resume(self, topic_id: str, ends: Mapping[int, tuple[int, int]]) -> Mapping[int, int]:
        """Where each partition is read on from, given its first and its next offset."""

    def save(self, positions: Mapping[int, int]) -> None:
        """Make the records folded in, and where their partitions go on, readable and durable."""

    def confirm(self, seen: int) -> None:
        """Note that all that was in the topic at this time (seconds since 1970) is folded in."""

    def check(self) -> None:
        """Raise what a lookup failed with."""

    def close(self) -> None:
        """Let go of it."""


class Replication:
    """Feeds a `World` from the topics given; `kept` names those whose part of it is on disk."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        topics: Sequence[Topic],
        *,
        client_id: str,
        kept: Mapping[str, Checkpointed] = MappingProxyType({}),
        on_bad: Callable[[BadRecordError], None] | None = None,
    ) -> None:
        self._settings = settings
        self._world = world
        self._names = {settings.topic(topic.name): topic.name for topic in topics}
        self._kept = kept
        self._on_bad = on_bad
        self._consumer = Consumer(
            librdkafka(
                settings.kafka,
                client_id=client_id,
                group_id=f"{client_id}-views",
                enable_auto_commit=False,
                enable_partition_eof=True,
                auto_offset_reset="error",
                isolation_level="read_uncommitted",
                fetch_wait_max_ms=50,
                reconnect_backoff_max_ms=1_000,
                fetch_message_max_bytes=8 * 1024 * 1024,
                queued_max_messages_kbytes=_AHEAD_KIB,
            )
        )
        self._next: dict[Place, int] = {}
        self._at_end: set[Place] = set()
        self._began = time.monotonic()
        self._currency = Currency(self._consumer, self._names, self._next)
        self.records = 0
        self._ready = threading.Event()
        self._known = threading.Event()  # that it is ready, or failed
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._told: list[Callable[[BaseException], object]] = []
        self._thread = threading.Thread(target=self._run, name=f"{client_id}-views", daemon=True)
        metrics.VIEW_AGE.set_function(self._currency.age)

    def start(self) -> None:
        """Assign every partition and start reading.  Raises TopicMissingError and KafkaException."""
        metadata = self._consumer.list_topics(timeout=METADATA_TIMEOUT_S)
        for name in self._names:
            if name not in metadata.topics:
                raise TopicMissingError(name)
            partitions = sorted(metadata.topics[name].partitions)
            self._next |= {(name, partition): at for partition, at in self._starts(name, partitions).items()}
        for (name, _), at in self._next.items():
            self._world.offsets[self._names[name]] = self._world.offsets.get(self._names[name], 0) + at
        self._consumer.assign(
            [TopicPartition(name, partition, at or OFFSET_BEGINNING) for (name, partition), at in self._next.items()]
        )
        self._thread.start()

    def _starts(self, name: str, partitions: Sequence[int]) -> Mapping[int, int]:
        kept = self._kept.get(self._names[name])
        if kept is None:
            return dict.fromkeys(partitions, 0)
        ends = {at: bounds(self._consumer, name, at) for at in partitions}
        return kept.resume(topic_ids(self._settings, [name])[name], ends)

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until every partition was read to its end once."""
        return self._ready.wait(timeout_s)

    def catch_up(self) -> None:
        """Wait as `wait_ready`, as long as it gets on.  Raises ViewError where it doesn't."""
        read, since = 0, time.monotonic()
        while not self._known.wait(PROGRESS_EVERY_S):
            if self.records != read:
                read, since = self.records, time.monotonic()
            elif time.monotonic() - since > STUCK_S:
                away = ", ".join(f"{name}[{at}]" for name, at in sorted(self._next.keys() - self._at_end)[:5])
                raise ViewError(f"no record of {away} came for {STUCK_S:.0f} s; see to the broker that leads it")
            log.info("views are being read", records=read, left=self._currency.behind())
        self.check()
        log.info("views are read", records=self.records, seconds=round(time.monotonic() - self._began, 1))

    def fresh(self) -> bool:
        """Whether the ends were confirmed within the last 3 s."""
        return self._ready.is_set() and self._failure is None and self._currency.age() <= FRESH_S

    def check(self) -> None:
        """Raise ViewError once the view is read no further."""
        if self._failure is not None:
            raise ViewError(f"the compacted topics can't be read: {self._failure}") from self._failure

    def when_failed(self, tell: Callable[[BaseException], object]) -> None:
        """Have this called, from whatever thread, once the view is read no further."""
        with self._lock:
            self._told.append(tell)
            failure = self._failure
        if failure is not None:
            tell(failure)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_POLL_S * 50)

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._fold(self._consumer.consume(_BATCH, timeout=_POLL_S))
                for kept in self._kept.values():
                    kept.check()
                self._confirm()
                self._currency.check_width()
        except Exception as error:
            log.exception("view is read no further: this worker must end")
            with self._lock:
                self._failure, told = error, list(self._told)
            self._known.set()
            for tell in told:
                tell(error)
        finally:
            self._consumer.close()
            for kept in self._kept.values():
                kept.close()

    def _fold(self, messages: Sequence[Message]) -> None:
        reached: dict[Place, int] = {}
        for message in messages:
            where = (message.topic() or "", message.partition() or 0)
            error, offset = message.error(), message.offset() or 0
            if error is None:
                self._apply(self._names[where[0]], message)
                reached[where] = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                reached[where] = offset
                self._at_end.add(where)
            elif error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  # as above
                raise KafkaException(error)
            else:
                log.warning("view meets an error, and goes on", topic=where[0], partition=where[1], error=error.str())
        self._save(reached)
        # Only now: who looks at the offsets finds what they name.
        for where, offset in reached.items():
            name = self._names[where[0]]
            self._world.offsets[name] += offset - self._next[where]
            self._next[where] = offset
        self.records += len(messages)

    def _apply(self, name: str, message: Message) -> None:
        key: Any = message.key() or b""
        try:
            self._world.apply(name, key.decode("utf-8", "replace"), message.value())
        except BadRecordError as bad:
            if self._on_bad is not None:
                self._on_bad(bad)
        except RuntimeFault:  # of a store: it can't be gone on with
            raise
        except Exception:
            # The thread must outlive it: a view that is read no further stops all who rest on it (G8).
            log.exception(
                "record could not be folded in", topic=name, partition=message.partition(), offset=message.offset()
            )

    def _save(self, reached: Mapping[Place, int]) -> None:
        for topic, kept in self._kept.items():
            name = self._settings.topic(topic)
            positions = {partition: offset for (where, partition), offset in reached.items() if where == name}
            if positions:
                kept.save(positions)

    def _confirm(self) -> None:
        if not self._ready.is_set() and len(self._at_end) == len(self._next):
            self._currency.begin()
            metrics.VIEW_READY.set(time.monotonic() - self._began)
            self._ready.set()
            self._known.set()
        seen = self._currency.confirm()
        if seen is not None:
            for kept in self._kept.values():
                kept.confirm(seen)
