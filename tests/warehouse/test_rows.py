"""Bytes to columns: true to the event, and nothing bad stops what is good."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Delivery, Rule
from streams.warehouse.rows import COLUMNS, Record, Row, rows
from tests.warehouse.builders import START, delivery, non_send

GOOD = msgspec.json.encode(delivery(1))


def edited(**changes: object) -> bytes:
    """A good delivery with other fields, as bytes."""
    return json.dumps(json.loads(GOOD) | changes).encode()


def test_a_row_has_the_fields_of_a_delivery() -> None:
    """Row narrows the event's fields, and neither adds, drops nor moves one."""
    names = [field.encode_name for field in msgspec.structs.fields(Row)]
    assert names == [field.encode_name for field in msgspec.structs.fields(Delivery)]
    assert (*names, "kafka_topic", "kafka_partition", "kafka_offset") == COLUMNS


def test_columns_hold_what_the_events_said() -> None:
    """Each column has each event's value, in order, with Kafka's coordinates."""
    rule = Rule(rule="cap", value="3", limit="3 per 7d", next_eligible=START)
    events = [delivery(1, class_="fine"), non_send(2, "capped", rules=(rule,))]
    records = [Record(7, msgspec.json.encode(events[0])), Record(9, msgspec.json.encode(events[1]))]
    columns, refused = rows(records, topic="evenpost.deliveries", partition=3)
    assert refused == ()
    table = {name: list(column) for name, column in zip(COLUMNS, columns, strict=True)}
    assert table.pop("rules") == [(), [("cap", "3", "3 per 7d", START)]]
    assert (table.pop("kafka_topic"), table.pop("kafka_partition")) == (["evenpost.deliveries"] * 2, [3, 3])
    assert table.pop("kafka_offset") == [7, 9]
    for name, column in table.items():
        assert column == [getattr(event, {"class": "class_"}.get(name, name)) for event in events]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "truncated"),
        (b"", "truncated"),
        (GOOD[:-5], "truncated"),
        (b"\xff\xfe", "malformed|invalid"),
        (b"[]", "Expected `object`, got `array`"),
        (GOOD[:-1] + b',"unknown":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "recursion"),
        (edited(type="eaten"), "type"),
        (edited(slot=70_000), "slot"),
        (edited(deal=-1), "deal"),
        (edited(source_offset=2**63), "source_offset"),
        (edited(latency_ms=2**70), "latency_ms|out of range"),
        (edited(event_id=""), "event_id"),
        (edited(at="0001-01-01T00:00:00Z"), "not between 2000 and 2200"),
        (edited(at="2026-11-24T00:00:00"), "at"),
        (GOOD.replace(b'"Ok"', b'"\\ud800"'), "surrogate|unicode"),
    ],
)
def test_a_bad_record_is_set_apart(value: bytes | None, reason: str) -> None:
    """It is returned with its offset, its bytes and why, and its neighbours are rows."""
    columns, (refused,) = rows([Record(0, GOOD), Record(1, value), Record(2, GOOD)], topic="t", partition=0)
    assert list(columns[-1]) == [0, 2]
    assert (refused.offset, refused.value) == (1, value)
    with pytest.raises(ValueError, match=f"(?i){reason}"):
        raise ValueError(refused.reason)


def test_nothing_good_gives_empty_columns() -> None:
    """A block of bad records alone has all columns, each empty."""
    columns, refused = rows([Record(0, b"{}")], topic="t", partition=0)
    assert [len(column) for column in columns] == [0] * len(COLUMNS)
    assert len(refused) == 1


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(GOOD))))
def test_no_input_raises_and_none_is_lost(values: list[bytes]) -> None:
    """Whatever the bytes: each record is a row or refused, in order."""
    columns, refused = rows([Record(i, value) for i, value in enumerate(values)], topic="t", partition=0)
    assert sorted([*columns[-1], *(one.offset for one in refused)]) == list(range(len(values)))
    assert list(columns[-1]) == [i for i, value in enumerate(values) if value == GOOD]


def test_times_keep_their_zone() -> None:
    """An offset other than UTC names the same moment."""
    columns, _ = rows([Record(0, edited(at="2026-11-24T09:00:00+09:00"))], topic="t", partition=0)
    assert columns[COLUMNS.index("at")][0] == datetime(2026, 11, 24, tzinfo=UTC)
