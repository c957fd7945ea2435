"""Incidents are a sheet of their own, written by the same planned blocks as deliveries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from schemas import ids
from schemas.events import Incident
from streams.runtime.clickhouse import connect
from streams.warehouse.rows import INCIDENTS, Record, rows
from streams.warehouse.writer import Block, Writer
from tests.warehouse.builders import answer, migrated

AT = datetime(2026, 12, 1, 3, 10, tzinfo=UTC)


def incident(number: int) -> Incident:
    """An IP that a provider blocked."""
    return Incident(
        incident_id=ids.digest("incident", str(number)),
        rule="blocked-ip",
        scope="slot/provider",
        key=f"{number}/gmail",
        action="deal_elsewhere",
        value="3 in 2 s",
        limit="3 in 600 s",
        evidence=("550 5.7.1 blocked", "550 5.7.1 blocked"),
        at=AT,
        until=AT + timedelta(hours=1),
    )


def block(values: list[bytes]) -> Block:
    """These at offsets from 0."""
    return Block(
        topic="incidents",
        topic_id="I1",
        partition=0,
        start=0,
        end=len(values),
        records=[Record(at, value) for at, value in enumerate(values)],
        sheet=INCIDENTS,
    )


def test_what_is_no_incident_is_set_apart() -> None:
    """A delivery there, or a year that no column holds; the others are columns."""
    odd = msgspec.structs.replace(incident(2), at=AT.replace(year=2300))
    values = [msgspec.json.encode(incident(1)), b'{"send_id": "1"}', msgspec.json.encode(odd)]
    records = [Record(at, value) for at, value in enumerate(values)]
    columns, refused = rows(records, topic="incidents", partition=0, sheet=INCIDENTS)
    table = dict(zip(INCIDENTS.columns, columns, strict=True))
    assert list(table["key"]) == ["1/gmail"]
    assert list(table["kafka_offset"]) == [0]
    assert [one.offset for one in refused] == [1, 2]


@pytest.mark.integration
def test_a_block_that_is_inserted_twice_counts_once(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """By its token, and by the incident's id where CONTROL wrote it again; recovered, it is whole."""
    client = migrated(clickhouse_dsn, clickhouse_database)
    writer = Writer(connect(clickhouse_dsn), clickhouse_database)
    said = [msgspec.json.encode(incident(number)) for number in (1, 2, 2)]
    writer.insert(block(said))
    writer.insert(block(said))
    writer.recover(block(said))
    found = answer(client, "SELECT key, value, limit, evidence, coming, at, until FROM incidents FINAL ORDER BY key")
    assert [row["key"] for row in found] == ["1/gmail", "2/gmail"]
    assert answer(client, "SELECT count() AS n FROM incidents")[0]["n"] == 3
    assert found[0]["evidence"] == ["550 5.7.1 blocked", "550 5.7.1 blocked"]
    assert (found[0]["value"], found[0]["limit"], found[0]["coming"]) == ("3 in 2 s", "3 in 600 s", False)
    assert found[0]["until"].replace(tzinfo=UTC) == AT + timedelta(hours=1)
