"""`evenpost explain send`: what it tells comes from ClickHouse as it is, and from Kafka where that is asked."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

from schemas.events import Rule
from schemas.topics import RETURNS, SENDS_MARKETING
from streams.operate.cli import app
from streams.operate.explain import send_rows
from streams.runtime.clickhouse import chdb_path
from streams.runtime.cluster import Publisher
from streams.runtime.embedded.clickhouse import SqlServer
from streams.runtime.settings import ClickHouseSettings, KafkaSettings, Settings
from streams.runtime.topic_admin import apply_topics
from streams.warehouse.writer import Writer
from tests.compose.builders import send as a_send
from tests.warehouse.builders import START, block, delivery, migrated, non_send

pytestmark = pytest.mark.integration

CAPPED = Rule(
    rule="capped", value="3", limit="3 marketing per 7d", next_eligible=START + timedelta(days=7, milliseconds=5)
)
PAUSED = Rule(rule="campaign_state", value="paused", limit="running")
STORY = [
    non_send(1, "waiting", at=START, rules=(PAUSED, CAPPED), class_="campaign_state"),
    delivery(1, "deferred", queued_at=START + timedelta(seconds=1), smtp_code=451, reply="Später, bitte 🍁"),
    delivery(1, "accepted", deal=2, queued_at=START + timedelta(seconds=20), latency_ms=2**40),
]
UNKNOWN = "0" * 32


@pytest.fixture
def settings(clickhouse_dsn: str, clickhouse_database: str, tmp_path: Path) -> Iterator[Settings]:
    """A warehouse that holds the story, each event of it twice, beside another send's."""
    writer = Writer(migrated(clickhouse_dsn, clickhouse_database), clickhouse_database)
    writer.insert(block([*STORY, delivery(2)]))
    writer.insert(block(STORY, start=len(STORY) + 1))
    with SqlServer(chdb_path(clickhouse_dsn) or "", data_dir=tmp_path):
        yield Settings(data_dir=tmp_path, clickhouse=ClickHouseSettings(database=clickhouse_database))


def run(settings: Settings, *arguments: str) -> Result:
    """The command in this deployment."""
    environment = {
        "EVENPOST_DATA_DIR": str(settings.data_dir),
        "EVENPOST_CLICKHOUSE__DATABASE": settings.clickhouse.database,
        "EVENPOST_KAFKA__PREFIX": settings.kafka.prefix,
    }
    if settings.kafka.bootstrap is not None:
        environment["EVENPOST_KAFKA__BOOTSTRAP"] = settings.kafka.bootstrap
    return CliRunner().invoke(app, ["explain", "send", *arguments], env=environment)


def test_rows_come_back_as_they_were_said(settings: Settings) -> None:
    """Every field, each event once, in the order of time."""
    assert send_rows.deliveries(settings, STORY[0].send_id) == STORY


def test_the_story_as_a_table(settings: Settings) -> None:
    """Step by step, with rules and replies; a Message-ID names it as well."""
    for name in (STORY[0].send_id, f"<{STORY[0].send_id.upper()}@acme.example>"):
        result = run(settings, name)
        assert result.exit_code == 0, result.output
        told = " ".join(result.stdout.split())
        assert "capped = 3 (limit 3 marketing per 7d, next 2026-12-01 00:00:00)" in told
        assert "451 2.0.0 Später, bitte 🍁" in told and "accepted (final)" in told and "+20.000" not in told
        assert "ended: accepted" in result.stderr and "acme:autumn" in result.stderr


def test_the_story_as_json(settings: Settings) -> None:
    """The same, for scripts."""
    told = json.loads(run(settings, STORY[0].send_id, "--json").stdout)
    assert told["outcome"] == "accepted" and told["send_id"] == STORY[0].send_id
    assert [step["what"] for step in told["steps"]] == ["waiting", "dealt", "deferred", "dealt", "accepted"]
    assert told["steps"][0]["rules"][1]["limit"] == "3 marketing per 7d"


@pytest.mark.parametrize(("name", "code", "words"), [
    ("abc", 2, "expected 32 hex characters"),
    ("' OR 1=1 --", 2, "expected 32 hex characters"),
    (UNKNOWN, 1, f"no send {UNKNOWN} in the warehouse; it may be under way: --kafka looks there as well"),
])  # fmt: skip
def test_what_is_no_send_is_said_in_a_line(settings: Settings, name: str, code: int, words: str) -> None:
    """What it is, and what to do."""
    result = run(settings, name)
    assert result.exit_code == code
    *_, line = result.stderr.strip().splitlines()
    assert line.startswith("error: ") and words in line


def test_kafka_tells_of_what_is_under_way(settings: Settings, kafka_bootstrap: str) -> None:
    """A send that was dealt a moment ago, which came back, and of which the warehouse knows nothing."""
    kafka = KafkaSettings(bootstrap=kafka_bootstrap, prefix=f"t{uuid.uuid4().hex[:8]}.", gate_partitions=2, slots=4)
    cluster = settings.model_copy(update={"kafka": kafka})
    apply_topics(cluster)
    dealt = msgspec.structs.replace(a_send(), send_id="ab" * 16, turn=3)
    back = {"kind": "parked", "send": msgspec.to_builtins(dealt), "reason": "paused"}
    with Publisher(cluster) as publisher:
        publisher.send(SENDS_MARKETING, dealt.send_id, dealt)
        publisher.send(SENDS_MARKETING, "cd" * 16, msgspec.structs.replace(dealt, send_id="cd" * 16))
        publisher.send(RETURNS, "acme:u1", msgspec.json.encode(back | {"due": dealt.expire_at, "at": dealt.queued_at}))
    result = run(cluster, dealt.send_id, "--kafka", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["outcome"] is None
    assert [step["what"] for step in told["steps"]] == ["dealt", "comes back"]
    assert "nor in Kafka" in run(cluster, UNKNOWN, "--kafka").stderr
