"""The views' numbers on a small set worked out by hand, every event of it said twice."""

import pytest
from clickhouse_connect.driver.client import Client

from schemas.events import Delivery
from streams.warehouse.writer import Writer
from tests.warehouse.builders import answer, block, delivery, migrated, non_send

pytestmark = pytest.mark.integration


def told_twice(dsn: str, database: str, events: list[Delivery]) -> Client:
    """A client of a database that holds the events, each in two blocks."""
    client = migrated(dsn, database)
    Writer(client, database).insert(block(events))
    Writer(client, database).insert(block(events, start=len(events)))
    return client


def campaign() -> list[Delivery]:
    """Fourteen recipient events.

    Three accepted (one after a deferral, one opened since), one bounced, one each of the other eight final types, one
    that waits, one deferred after it had waited.
    """
    others = ["expired", "suppressed", "capped", "duplicate", "invalid", "rejected", "cancelled", "uncertain"]
    return [
        delivery(0),
        delivery(1, "deferred"),
        delivery(1, deal=2),
        delivery(2),
        delivery(2, "opened"),
        delivery(3, "bounced", smtp_code=550, enhanced_code="5.1.1"),
        *(non_send(4 + index, type_) for index, type_ in enumerate(others)),
        non_send(12, "waiting"),
        non_send(13, "waiting"),
        delivery(13, "deferred"),
    ]


def test_the_funnel(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """Each recipient event counts once, where it stands now; another campaign has a row of its own."""
    events = [*campaign(), non_send(14, "waiting", campaign_id="winter")]
    client = told_twice(clickhouse_dsn, clickhouse_database, events)
    autumn, winter = answer(client, "SELECT * EXCEPT (first_at, last_at) FROM campaign_funnel ORDER BY campaign_id")
    assert autumn == {
        "tenant": "acme",
        "campaign_id": "autumn",
        "kind": "marketing",
        "events": 14,
        "accepted": 3,
        "bounced": 1,
        **dict.fromkeys(
            ["expired", "suppressed", "capped", "duplicate", "invalid", "rejected", "cancelled", "uncertain"], 1
        ),
        "waiting": 1,
        "deferred": 1,
        "accept_rate": 3 / 6,
        "bounce_rate": 1 / 6,
    }
    assert (winter["events"], winter["waiting"], winter["accept_rate"]) == (1, 1, None)


def test_conservation_while_under_way_and_after(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """Not exact while two are without an outcome; exact when they have one."""
    client = told_twice(clickhouse_dsn, clickhouse_database, campaign())
    sql = "SELECT sources, finals, more_than_one_final, without_final, exact FROM conservation"
    assert answer(client, sql) == [
        {"sources": 14, "finals": 12, "more_than_one_final": 0, "without_final": 2, "exact": False}
    ]
    Writer(client, clickhouse_database).insert(block([delivery(12), delivery(13, deal=2)], start=1000))
    assert answer(client, sql) == [
        {"sources": 14, "finals": 14, "more_than_one_final": 0, "without_final": 0, "exact": True}
    ]


def test_conservation_finds_a_second_outcome(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """An event with two finals is counted and not exact, though the sums would agree with one that has none."""
    events = [delivery(0), delivery(0, "bounced"), non_send(1, "waiting")]
    client = told_twice(clickhouse_dsn, clickhouse_database, events)
    assert answer(client, "SELECT * EXCEPT (tenant, campaign_id) FROM conservation") == [
        {"sources": 2, "finals": 2, "more_than_one_final": 1, "without_final": 1, "exact": False}
    ]


def test_conservation_tells_partitions_and_topics_apart(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """The same offset of another partition is another recipient event."""
    events = [delivery(0), delivery(1, source_offset=0, source_partition=5)]
    client = told_twice(clickhouse_dsn, clickhouse_database, events)
    assert answer(client, "SELECT sources, exact FROM conservation") == [{"sources": 2, "exact": True}]


def test_spread(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """Shares per provider and IP against equal parts; an IP that had none of a provider is shown with 0."""
    events = [
        delivery(0, slot=0),
        delivery(1, "deferred", slot=0),
        delivery(1, "accepted", slot=0, deal=2),
        delivery(2, "bounced", slot=1),
        delivery(3, slot=0, provider="other"),
        non_send(4, "capped"),
    ]
    client = told_twice(clickhouse_dsn, clickhouse_database, events)
    found = [tuple(row.values()) for row in answer(client, "SELECT * FROM spread ORDER BY pool, provider, slot")]
    assert found == [
        ("shared", "docomo", 0, 3, 2, 0, 1, 0.75, 0.5, 1.0),
        ("shared", "docomo", 1, 1, 0, 1, 0, 0.25, 0.5, -1.0),
        ("shared", "other", 0, 1, 1, 0, 0, 1.0, 0.5, 0.5),
        ("shared", "other", 1, 0, 0, 0, 0, 0.0, 0.5, -0.5),
    ]


def test_reply_classes(clickhouse_dsn: str, clickhouse_database: str) -> None:
    """Replies by provider and class, with the last one's words; what was never sent has no reply."""
    events = [
        delivery(1, "bounced", smtp_code=550, enhanced_code="5.1.1", class_="unknown_user", reply="old", slot=1),
        delivery(2, "bounced", smtp_code=550, enhanced_code="5.1.1", class_="unknown_user", reply="new", slot=2),
        non_send(3, "capped"),
    ]
    client = told_twice(clickhouse_dsn, clickhouse_database, events)
    found = answer(
        client, "SELECT provider, type, class, smtp_code, enhanced_code, events, slots, last_reply FROM reply_classes"
    )
    assert [tuple(row.values()) for row in found] == [("docomo", "bounced", "unknown_user", 550, "5.1.1", 2, 2, "new")]
