"""What happened, as each witness tells it: Kafka's topics, ClickHouse's rows, the simulator's log.

Read after the run, from the beginning to the end; nothing here comes from the workers' own counts.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas import ids
from schemas.events import Delivery, Send
from schemas.topics import (
    DEAD_LETTERS,
    DELIVERIES,
    RECIPIENTS_MARKETING,
    RECIPIENTS_TRANSACTIONAL,
    SENDS_MARKETING,
    SENDS_TRANSACTIONAL,
)
from streams.operate.demo.stage import Receiver
from streams.operate.proof import warehouse
from streams.operate.proof.warehouse import Sums
from streams.operate.simulator import Entry, read_log
from streams.runtime.cluster import read_all
from streams.runtime.settings import Settings

Place = tuple[str, int, int]  # topic without prefix, partition, offset
_MESSAGE_ID: Final = re.compile(r"<(?P<send_id>[0-9a-f]{32})@(?P<tenant>[a-z0-9-]+)\.example>")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient event as Kafka holds it: where, when (Unix seconds), which campaign, its number in the plan."""

    place: Place
    at: float
    campaign: str
    event: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the checks compare.

    `unnamed` events are too broken to name their campaign.  `rows` and `records` are ClickHouse's and Kafka's delivery
    events by partition.  `taken` counts accepted messages by send id, `touched` are the (tenant, address) of every
    transaction that the simulator saw, refused ones too.
    """

    asked: tuple[Asked, ...]
    unnamed: int
    dead_letters: int
    deliveries: tuple[Delivery, ...]
    sends: tuple[Send, ...]
    records: Sums
    rows: Sums
    taken: Counter[str]
    touched: frozenset[tuple[str, str]]


def gather(settings: Settings, receiver: Receiver) -> Evidence:
    """Read all of it; about a second for 10,000 recipients."""
    asked, unnamed = _asked(settings)
    deliveries: list[Delivery] = []
    places: list[tuple[int, int]] = []
    decode = msgspec.json.Decoder(Delivery).decode
    for record in read_all(settings, DELIVERIES):
        deliveries.append(decode(record.value or b""))
        places.append((record.partition, record.offset))
    decode_send = msgspec.json.Decoder(Send).decode
    entries = list(read_log(receiver.log))
    return Evidence(
        asked=tuple(asked),
        unnamed=unnamed,
        dead_letters=sum(1 for _ in read_all(settings, DEAD_LETTERS)),
        deliveries=tuple(deliveries),
        sends=tuple(
            decode_send(record.value or b"")
            for topic in (SENDS_TRANSACTIONAL, SENDS_MARKETING)
            for record in read_all(settings, topic)
        ),
        records=warehouse.records(places),
        rows=warehouse.rows(settings),
        taken=_taken(entries),
        touched=frozenset(_touched(entries)),
    )


def _asked(settings: Settings) -> tuple[list[Asked], int]:
    found: list[Asked] = []
    unnamed = 0
    for topic in (RECIPIENTS_TRANSACTIONAL, RECIPIENTS_MARKETING):
        for record in read_all(settings, topic):
            try:
                body: Any = json.loads(record.value or b"")
                campaign, event = ids.campaign_key(body["tenant"], body["campaign_id"]), body["variables"]["event"]
            except (ValueError, KeyError):
                unnamed += 1
                continue
            at = record.at.timestamp() if record.at is not None else 0.0
            place = (topic.name, record.partition, record.offset)
            found.append(Asked(place=place, at=at, campaign=campaign, event=event))
    return found, unnamed


def _taken(entries: list[Entry]) -> Counter[str]:
    taken: Counter[str] = Counter()
    for entry in entries:
        if entry.accepted:
            found = _MESSAGE_ID.fullmatch(entry.message_id or "")
            taken[found["send_id"] if found else f"no message id of ours: {entry.message_id}"] += 1
    return taken


def _touched(entries: list[Entry]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        tenant = entry.mail_from.rpartition("@")[2].removeprefix("bounce.").removesuffix(".example")
        for address in entry.rcpt_to:
            yield tenant, ids.canonical_address(address)
