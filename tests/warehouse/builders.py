"""Deliveries, blocks and a migrated database for the warehouse's tests."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from schemas import ids
from schemas.events import FINAL_TYPES, Delivery
from streams.runtime.clickhouse import connect
from streams.warehouse.migrations import migrate
from streams.warehouse.rows import Record
from streams.warehouse.writer import Block

START = datetime(2026, 11, 24, tzinfo=UTC)


def delivery(source: int, type_: str = "accepted", **changes: Any) -> Delivery:
    """What became of the recipient event at offset `source`: by default dealt once to slot 0."""
    send = ids.digest("send", str(source))
    deal = changes.get("deal", 1)
    fields: dict[str, Any] = {
        "event_id": ids.digest(send, str(deal), type_),
        "send_id": send,
        "tenant": "acme",
        "campaign_id": "autumn",
        "recipient_id": f"u{source}",
        "kind": "marketing",
        "channel": "mail",
        "address_id": "1-" + ids.digest(str(source)),
        "domain": "docomo.example",
        "provider": "docomo",
        "pool": "shared",
        "slot": 0,
        "via": "bind",
        "type": type_,
        "final": type_ in FINAL_TYPES,
        "class_": "",
        "deal": deal,
        "attempt": 1,
        "smtp_code": 250,
        "enhanced_code": "2.0.0",
        "reply": "Ok",
        "rules": (),
        "at": START + timedelta(seconds=source + 10 * deal),
        "queued_at": START,
        "latency_ms": 1000 * source,
        "source_topic": "evenpost.recipients.marketing",
        "source_partition": 0,
        "source_offset": source,
    }
    return Delivery(**(fields | changes))


def non_send(source: int, type_: str, **changes: Any) -> Delivery:
    """A verdict of the gate: never dealt, so without slot, reply and latency."""
    nowhere = {"slot": None, "pool": "", "via": "", "deal": 0, "attempt": 0, "smtp_code": None, "enhanced_code": ""}
    return delivery(source, type_, **(nowhere | {"reply": "", "queued_at": None, "latency_ms": None} | changes))


def block(events: Iterable[Delivery | bytes], *, start: int = 0, partition: int = 0, topic_id: str = "T1") -> Block:
    """A block of consecutive offsets from `start`."""
    values = [event if isinstance(event, bytes) else msgspec.json.encode(event) for event in events]
    return Block(
        topic="evenpost.deliveries",
        topic_id=topic_id,
        partition=partition,
        start=start,
        end=start + max(len(values), 1),
        records=[Record(start + index, value) for index, value in enumerate(values)],
    )


def migrated(dsn: str, database: str) -> Client:
    """A client whose database has tables and views; the database is made if missing."""
    first = connect(dsn)
    migrate(first, database)
    first.close()
    return connect(dsn, database=database)


def answer(client: Client, sql: str) -> list[dict[str, Any]]:
    """A statement's rows, each by column."""
    return list(client.query(sql).named_results())
