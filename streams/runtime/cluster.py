"""The cluster as commands and tools meet it: where it is, records in, a bounded read out.

`resolve` fills `kafka.bootstrap` from the embedded broker that runs on the data directory.  `Publisher` writes and is
sure of it: acks of all, idempotent, Java's placement.  `read_all` reads a topic from its beginning to the end it has
now and stops; `read_settled` waits for the transactions open now as well; `find` reads for one key and waits for it.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import methodcaller
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from schemas.topics import LARGE_MESSAGE_BYTES, Topic
from streams.runtime.clients import librdkafka
from streams.runtime.embedded import state
from streams.runtime.embedded.clickhouse import SqlServer
from streams.runtime.errors import (
    ClusterUnreachableError,
    NoBrokerError,
    NoWarehouseError,
    OpenTransactionError,
    PublishFailedError,
    TopicMissingError,
)
from streams.runtime.settings import Settings
from streams.runtime.unproven import verdict
from streams.views import BadRecordError, World

# A command answers a person: a cluster that is silent for this long is called unreachable.
REACH_S: Final = 5.0
# A publisher gives a record up after this long; a broker that restarts is back well before.
DELIVERY_S: Final = 30.0
# Records a read asks for at once, and how long one ask waits.
_BATCH: Final = 1_000
_POLL_S: Final = 0.1
# Without any news of a partition's end for this long, a bounded read gives up rather than hang.
_SILENCE_S: Final = 15.0
# How long a publisher waits for room in librdkafka's queue before it tries again.
_FULL_S: Final = 0.05

# As `message.headers()`.  Where a key is no UTF-8, confluent-kafka returns a list with holes in it and leaves its
# exception behind: a call that CPython has made fast (PEP 659) does not look for that, and whoever reads the list ends
# the process.  A call from C looks always, and raises SystemError.
_HEADERS: Final = methodcaller("headers")

_Client = TypeVar("_Client", Producer, Consumer)


@dataclass(frozen=True, kw_only=True, slots=True)
class KafkaRecord:
    """A record as read; `value` None is a tombstone.  `key` is for reading, `raw_key` as it was written."""

    partition: int
    offset: int
    key: str
    value: bytes | None
    at: datetime | None = None
    raw_key: bytes | None = None
    headers: Mapping[str, bytes] = field(default_factory=dict)


def resolve(settings: Settings) -> Settings:
    """The settings with the broker's address known.  Raises NoBrokerError."""
    if settings.kafka.bootstrap is not None:
        return settings
    server = state.running(settings.data_dir)
    if server is None:
        raise NoBrokerError(settings.data_dir)
    return with_bootstrap(settings, server.bootstrap)


def with_bootstrap(settings: Settings, bootstrap: str) -> Settings:
    """The settings with this broker."""
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"bootstrap": bootstrap})})


def sql_endpoint(settings: Settings) -> str:
    """The DSN that answers SQL over HTTP: a server of your own, or this machine's warehouse worker.

    Raises NoWarehouseError where neither is there.
    """
    dsn = settings.clickhouse.dsn
    if dsn is not None and urlsplit(dsn).scheme in {"http", "https"}:
        return dsn
    found = SqlServer.running(settings.data_dir)
    if found is None:
        raise NoWarehouseError(settings.data_dir)
    return found


def check_reachable(settings: Settings) -> None:
    """Ask the cluster for its brokers.  Raises ClusterUnreachableError within REACH_S."""
    _topics_of(_client(Producer, settings, client_id="evenpost-cli"), settings)


def missing_topics(settings: Settings, declared: Iterable[Topic]) -> list[str]:
    """Full names of those that the cluster does not have.  Raises ClusterUnreachableError within REACH_S."""
    present = _topics_of(_client(Producer, settings, client_id="evenpost-cli"), settings)
    return [name for topic in declared if (name := settings.topic(topic.name)) not in present]


class Publisher:
    """Writes records and knows that they arrived; a context manager that flushes at the end."""

    def __init__(self, settings: Settings, *, client_id: str = "evenpost-cli") -> None:
        self._settings = settings
        self._failed = 0
        self._reason = ""
        self._producer = _client(
            Producer,
            settings,
            client_id=client_id,
            enable_idempotence=True,
            acks="all",
            linger_ms=5,
            delivery_timeout_ms=int(DELIVERY_S * 1000),
            partitioner="murmur2_random",
            compression_type="lz4",
            message_max_bytes=LARGE_MESSAGE_BYTES,
        )
        self._present = _topics_of(self._producer, settings)

    def send(self, topic: Topic, key: str, value: msgspec.Struct | bytes | None) -> None:
        """Hand a record over; None is a tombstone.  Raises what `flush` raises when an earlier one failed."""
        name = self._settings.topic(topic.name)
        if name not in self._present:
            raise TopicMissingError(name)
        self._raise_failure()
        body = msgspec.json.encode(value) if isinstance(value, msgspec.Struct) else value
        while True:
            try:
                self._producer.produce(name, body, key=key.encode(), on_delivery=self._report)
            except BufferError:
                self._producer.poll(_FULL_S)
            except KafkaException as error:
                raise PublishFailedError(failed=1, reason=error.args[0].str()) from error
            else:
                self._producer.poll(0)
                return

    def flush(self) -> None:
        """Wait until all records sent are on every in-sync replica.  Raises PublishFailedError."""
        left = int(self._producer.flush(DELIVERY_S + REACH_S))
        if left:
            self._failed, self._reason = self._failed + left, self._reason or "no answer from the brokers"
        self._raise_failure()

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if (failed := verdict(error, message)) is not None:
            self._failed, self._reason = self._failed + 1, failed.str()

    def _raise_failure(self) -> None:
        if self._failed:
            raise PublishFailedError(failed=self._failed, reason=self._reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()


def read_all(settings: Settings, topic: Topic, *, last: int | None = None) -> Iterator[KafkaRecord]:
    """Yield the topic's records up to the end it has now; with `last`, only the last so many of each partition."""
    with _Reader(settings, topic, last=last) as reader:
        while not reader.at_end:
            yield from reader.poll()


def read_settled(settings: Settings, topic: Topic) -> Iterator[KafkaRecord]:
    """Yield all committed records below the end that the topic has now.

    A transaction that is open hides what comes behind it from readers of committed records: this waits until it ends
    (the broker sees to that within seconds, see `streams.runtime.partition.transactions`).  Raises OpenTransactionError
    where it does not.
    """
    with _Reader(settings, topic, isolation="read_uncommitted") as uncommitted:
        ends = uncommitted.ends()
    with _Reader(settings, topic, until=ends) as reader:
        while not reader.at_end:
            yield from reader.poll()


def read_world(settings: Settings, *topics: Topic) -> World:
    """What the compacted topics say now; a record that does not decode is passed over, as the workers do."""
    world = World(slots=settings.kafka.slots)
    for topic in topics:
        for record in read_all(settings, topic):
            with contextlib.suppress(BadRecordError):
                world.apply(topic.name, record.key, record.value)
    return world


def find(settings: Settings, topic: Topic, key: str, *, timeout_s: float = 0.0) -> KafkaRecord | None:
    """The last record of one key, None if there is none or it is a tombstone; waits up to `timeout_s` for it."""
    deadline = time.monotonic() + timeout_s
    found: KafkaRecord | None = None
    with _Reader(settings, topic) as reader:
        while not reader.at_end or (found is None and time.monotonic() < deadline):
            for record in reader.poll():
                if record.key == key:
                    found = record if record.value is not None else None
    return found


class _Reader:
    """One topic from its beginning, without a group's membership, until each partition's end was seen."""

    def __init__(
        self,
        settings: Settings,
        topic: Topic,
        *,
        last: int | None = None,
        until: Mapping[int, int] | None = None,
        isolation: Literal["read_committed", "read_uncommitted"] | None = None,
    ) -> None:
        name = self._name = settings.topic(topic.name)
        self._until = until or {}
        self._hidden: set[int] = set()  # partitions whose committed records end below `until`
        self._heard = time.monotonic()
        self._bootstrap = settings.kafka.bootstrap
        self._consumer = _client(
            Consumer,
            settings,
            client_id="evenpost-cli",
            group_id="evenpost-cli",  # librdkafka wants one; nothing is joined or committed
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level=isolation or ("read_committed" if topic.committed else "read_uncommitted"),
            fetch_wait_max_ms=50,
            fetch_message_max_bytes=LARGE_MESSAGE_BYTES,
        )
        present = _topics_of(self._consumer, settings)
        if name not in present:
            raise TopicMissingError(name)
        self._open = set(range(present[name]))
        self._consumer.assign([TopicPartition(name, at, self._start(at, last)) for at in self._open])

    @property
    def at_end(self) -> bool:
        """Whether every partition was read to an end."""
        return not self._open

    def poll(self) -> Iterator[KafkaRecord]:
        """What came by now, in each partition's order."""
        messages: deque[Message] = deque(self._consumer.consume(_BATCH, timeout=_POLL_S))
        if messages:
            self._heard = time.monotonic()
        elif self._open and time.monotonic() - self._heard > _SILENCE_S:
            if self._hidden:
                raise OpenTransactionError(self._name, sorted(self._hidden), waited_s=_SILENCE_S)
            raise ClusterUnreachableError(self._bootstrap, f"no answer for {_SILENCE_S:.0f} s while reading")
        for message in messages:
            error = message.error()
            if error is None:
                yield _record(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                at = message.partition() or 0
                if (message.offset() or 0) >= self._until.get(at, 0):
                    self._open.discard(at)
                    self._hidden.discard(at)
                else:
                    self._hidden.add(at)
            elif error.fatal() or not error.retriable():
                raise ClusterUnreachableError(self._bootstrap, error.str())

    def ends(self) -> dict[int, int]:
        """The next offset of each partition."""
        return {at: self._watermarks(at)[1] for at in self._open}

    def _watermarks(self, partition: int) -> tuple[int, int]:
        """First and next offset; a partition that was just made, or whose leader changes, has none for a moment."""
        deadline = time.monotonic() + _SILENCE_S
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(self._name, partition), timeout=REACH_S)
            except KafkaException as error:
                if error.args[0].fatal() or time.monotonic() > deadline:
                    raise ClusterUnreachableError(self._bootstrap, error.args[0].str()) from error
                time.sleep(_POLL_S)
            else:
                return low, high

    def _start(self, partition: int, last: int | None) -> int:
        if last is None:
            return int(OFFSET_BEGINNING)
        low, high = self._watermarks(partition)
        return max(low, high - last)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


def _record(message: Message) -> KafkaRecord:
    kind, millis = message.timestamp()
    return KafkaRecord(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=(message.key() or b"").decode("utf-8", "replace"),
        raw_key=message.key(),
        value=message.value(),
        at=None if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(millis / 1000, UTC),
        headers=dict(_headers(message)),
    )


def _headers(message: Message) -> Iterator[tuple[str, bytes]]:
    """None of a record with a key that is no UTF-8: confluent-kafka knows no leniency."""
    try:
        headers = _HEADERS(message) or []
    except SystemError as error:
        if not isinstance(error.__cause__, UnicodeDecodeError):
            raise
        return
    for name, value in cast("list[tuple[str, bytes | str | None]]", headers):
        yield name, value.encode() if isinstance(value, str) else value or b""


def _client(kind: type[_Client], settings: Settings, **config: Any) -> _Client:
    """A client whose faults are raised to the caller and not written to the terminal by librdkafka."""
    try:
        return kind(librdkafka(settings.kafka, **config) | {"log_level": 0, "error_cb": lambda _: None})
    except KafkaException as error:  # security settings that don't go together
        raise ClusterUnreachableError(settings.kafka.bootstrap, error.args[0].str()) from error


def _topics_of(client: Producer | Consumer, settings: Settings) -> dict[str, int]:
    """Each topic of the cluster and its number of partitions; asking for all creates none."""
    try:
        found = client.list_topics(timeout=REACH_S).topics
    except KafkaException as error:
        raise ClusterUnreachableError(settings.kafka.bootstrap, error.args[0].str()) from error
    return {name: len(topic.partitions) for name, topic in found.items()}
