"""What happened, as each witness tells it: Kafka's topics, ClickHouse's rows, the receiver's two logs.

Read after the run, from the beginning, as plain JSON: none of the product's own structs, folds or counts.  Facts of the
journal are read with those of aborted transactions, everything else as committed.
"""

import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from streams.operate.chaos.edge.blows import Socket
from streams.operate.chaos.edge.stage import Receiver
from streams.operate.errors import FleetError
from streams.operate.simulator import Ended, Entry, read_connections, read_log
from streams.runtime.clients import librdkafka
from streams.runtime.cluster import sql_endpoint
from streams.runtime.settings import Settings
from streams.warehouse import query

Place = tuple[str, int, int]  # a recipient event's topic (declared name), partition, offset
Ends = Mapping[str, Counter[str]]  # campaign -> final outcome -> how many
Sums = Mapping[int, tuple[int, int]]  # partition -> records, sum of offsets: two logs alike in both hold the same
# Seconds without a record or an end of a partition: nobody answers.
_SILENCE_S: Final = 30.0
_POLL_S: Final = 0.5
_BATCH: Final = 2_000
_MESSAGE_ID: Final = re.compile(r"<(?P<send_id>[0-9a-f]{32})@[a-z0-9-]+\.example>")
_PORT: Final = re.compile(r"[/:](\d+)$")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient event as Kafka has it; `number` is its own, of the plan."""

    place: Place
    campaign: str
    number: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery event."""

    event_id: str
    send_id: str
    campaign: str
    person: str
    place: Place
    type: str
    final: bool
    class_: str
    address_id: str
    deal: int
    slot: int | None
    at: float


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """An intent of the journal: `slot` is its partition, `port` the local one of the connection that it names."""

    send_id: str
    deal: int
    slot: int
    offset: int
    port: int
    at: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome of the journal; `at` is when it was handed over to Kafka, also where an older one is said again."""

    send_id: str
    deal: int
    slot: int
    offset: int
    final: bool
    at: float


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the receiver accepted."""

    send_id: str
    message_id: str
    recipient: str
    digest: str  # of the message without its signatures
    socket: Socket
    at: float
    outcome: str  # the simulator's word: accept, dropafter, stall, …


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is judged."""

    asked: tuple[Asked, ...]
    told: tuple[Told, ...]
    intents: tuple[Intent, ...]
    outcomes: tuple[Outcome, ...]
    entered: Mapping[tuple[str, str], float]  # scope, address id -> when its suppression was on the topic
    taken: tuple[Taken, ...]
    connections: tuple[Ended, ...]
    records: Sums  # deliveries in Kafka
    rows: Sums  # … and in ClickHouse
    ends: Ends  # final outcomes in ClickHouse


def gather(settings: Settings, receiver: Receiver) -> Evidence:
    """Read all but what the receiver says at its own end; `with_receiver` adds that."""
    told: list[Told] = []
    records: dict[int, list[int]] = defaultdict(list)
    for record in _read(settings, "deliveries"):
        told.append(_told(record.body))
        records[record.partition].append(record.offset)
    intents: list[Intent] = []
    outcomes: list[Outcome] = []
    for record in _read(settings, "journal", isolation="read_uncommitted"):
        body = record.body
        if body["entry"] == "intent":
            intents.append(_intent(record))
        elif body["entry"] == "outcome":
            outcomes.append(_outcome(record))
    rows, ends = warehouse(settings)
    return Evidence(
        asked=tuple(_asked(settings)),
        told=tuple(told),
        intents=tuple(intents),
        outcomes=tuple(outcomes),
        entered=_entered(settings),
        taken=tuple(_taken(read_log(receiver.log))),
        connections=(),
        records={partition: (len(offsets), sum(offsets)) for partition, offsets in records.items()},
        rows=rows,
        ends=ends,
    )


def with_receiver(seen: Evidence, receiver: Receiver) -> Evidence:
    """The evidence with the receiver's logs as they are once it has ended: each connection has its line then."""
    return msgspec.structs.replace(
        seen,
        taken=tuple(_taken(read_log(receiver.log))),
        connections=tuple(read_connections(receiver.connections)),
    )


def warehouse(settings: Settings) -> tuple[Sums, Ends]:
    """ClickHouse's delivery events by Kafka partition, each row as it stands, and its final outcomes by campaign."""
    dsn, database = sql_endpoint(settings), settings.clickhouse.database
    statement = "SELECT kafka_partition, count(), sum(kafka_offset) FROM deliveries GROUP BY kafka_partition"
    sums = query.run(dsn, statement, database=database).rows
    statement = "SELECT tenant, campaign_id, type, count() FROM deliveries WHERE final GROUP BY ALL"
    ends: dict[str, Counter[str]] = defaultdict(Counter)
    for tenant, campaign, type_, count in query.run(dsn, statement, database=database).rows:
        ends[f"{tenant}:{campaign}"][type_] += int(count)
    return {int(partition): (int(count), int(offsets)) for partition, count, offsets in sums}, ends


def _asked(settings: Settings) -> Iterator[Asked]:
    for topic in ("recipients.marketing", "recipients.transactional"):
        for record in _read(settings, topic):
            campaign = f"{record.body['tenant']}:{record.body['campaign_id']}"
            place = (topic, record.partition, record.offset)
            yield Asked(place=place, campaign=campaign, number=record.body["variables"]["event"])


def _told(body: Any) -> Told:
    return Told(
        event_id=body["event_id"],
        send_id=body["send_id"],
        campaign=f"{body['tenant']}:{body['campaign_id']}",
        person=body["recipient_id"],
        place=(body["source_topic"], body["source_partition"], body["source_offset"]),
        type=body["type"],
        final=body["final"],
        class_=body["class"],
        address_id=body["address_id"],
        deal=body["deal"],
        slot=body["slot"],
        at=datetime.fromisoformat(body["at"]).timestamp(),
    )


def _intent(record: "_Record") -> Intent:
    body = record.body
    port = _PORT.search(body["connection"])
    return Intent(
        send_id=body["send_id"],
        deal=body["deal"],
        slot=record.partition,
        offset=record.offset,
        port=int(port[1]) if port else 0,
        at=datetime.fromisoformat(body["at"]).timestamp(),
    )


def _outcome(record: "_Record") -> Outcome:
    body = record.body
    return Outcome(
        send_id=body["send_id"],
        deal=body["deal"],
        slot=record.partition,
        offset=record.offset,
        final=body["delivery"]["final"],
        at=record.at,
    )


def _entered(settings: Settings) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for record in _read(settings, "suppressions", isolation="read_uncommitted"):
        if record.body is not None:
            found.setdefault((record.body["scope"], record.body["address_id"]), record.at)
    return found


def _taken(entries: Iterator[Entry]) -> Iterator[Taken]:
    for entry in entries:
        if entry.accepted:
            found = _MESSAGE_ID.fullmatch(entry.message_id or "")
            yield Taken(
                send_id=found["send_id"] if found else f"no message id of ours: {entry.message_id}",
                message_id=entry.message_id or "",
                recipient=entry.rcpt_to[0],
                digest=entry.unsigned_sha256 or "",
                socket=(entry.peer, entry.port),
                at=entry.at.timestamp(),
                outcome=entry.outcome,
            )


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    partition: int
    offset: int
    at: float
    body: Any


def _read(settings: Settings, name: str, *, isolation: str = "read_committed") -> Iterator[_Record]:
    """Each record to the end that the topic has now.  Raises FleetError."""
    topic = settings.topic(name)
    consumer = Consumer(
        librdkafka(
            settings.kafka,
            client_id="evenpost-chaos-witness",
            group_id="evenpost-chaos-witness",  # librdkafka wants one; nothing is joined or committed
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level=isolation,
            fetch_wait_max_ms=50,
        )
        | {"log_level": 0, "error_cb": lambda _: None}
    )
    try:
        partitions = set(consumer.list_topics(timeout=_SILENCE_S).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        heard = time.monotonic()
        while partitions:
            messages: list[Any] = consumer.consume(_BATCH, timeout=_POLL_S)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_S:
                raise FleetError(f"{topic}: no answer for {_SILENCE_S:.0f} s while reading")
            for message in messages:
                error = message.error()
                if error is None:
                    value = message.value()
                    yield _Record(
                        partition=message.partition(),
                        offset=message.offset(),
                        at=message.timestamp()[1] / 1000,
                        body=None if value is None else json.loads(value),
                    )
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's name for it
                    partitions.discard(message.partition())
                elif error.fatal() or not error.retriable():
                    raise FleetError(f"{topic} can't be read: {error.str()}")
    finally:
        consumer.close()
